"""Whose logins are touched: nobody's but those that are made here. In check mode, against this machine."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Play = Callable[..., "subprocess.CompletedProcess[str]"]
ME = pwd.getpwuid(os.getuid())
GROUP = grp.getgrgid(ME.pw_gid).gr_name


@pytest.fixture
def accounts(play: Play, tmp_path: Path) -> Callable[..., tuple[str, dict[str, str]]]:
    """A function that says what the role base would do: all its words, and each task's result."""

    def run(**variables: object) -> tuple[str, dict[str, str]]:
        given = {"demo_folder": str(tmp_path), "base_create_accounts": True, **variables}
        done = play("playbooks/environment.yml", "--check", "--tags", "base", inventory="demo/inventory", **given)
        parts = re.split(r"^TASK \[base : (.*?)\] \**$", done.stdout, flags=re.MULTILINE)[1:]
        said = {
            name: found[1] if (found := re.search(r"^(ok|changed|fatal|failed): ", text, re.MULTILINE)) else "skipped"
            for name, text in zip(parts[::2], parts[1::2], strict=True)
        }
        assert (done.returncode == 0) is ("fatal" not in said.values()), done.stdout + done.stderr
        return " ".join(done.stdout.split()), said

    return run


TASKS = ("Create the group", "Create the service's user", "Let people use it")


@pytest.mark.parametrize(
    ("variables", "results"),
    [
        ({"base_user": ME.pw_name, "base_group": GROUP}, ("skipped", "skipped", "skipped")),
        pytest.param({"base_user": ME.pw_name, "base_group": "no-group-yet"},
                     ("changed", "skipped", "skipped"), marks=pytest.mark.full),
        ({"base_user": "no-login-yet", "base_group": "no-group-yet", "base_group_members": [ME.pw_name]},
         ("changed", "changed", "skipped")),
        pytest.param({"base_user": "no-login-yet", "base_group": GROUP, "base_group_members": ["no-login-yet"]},
                     ("skipped", "changed", "skipped"), marks=pytest.mark.full),
        ({"base_user": ME.pw_name, "base_group": "nogroup"}, ("skipped", "skipped", "changed")),
    ],
    ids=["a login", "its new group", "a bare host", "the service itself", "another group"],
)  # fmt: skip
def test_only_what_is_not_there_is_made(
    accounts: Callable[..., tuple[str, dict[str, str]]], variables: dict[str, object], results: tuple[str, ...]
) -> None:
    _, said = accounts(**variables)
    assert tuple(said[task] for task in TASKS) == results


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([ME.pw_name, "alicce", "bbo"], marks=pytest.mark.full, id="a list"),
        pytest.param(f"{ME.pw_name}, alicce,bbo", id="as people write it in INI"),
    ],
)
def test_a_member_without_a_login_is_refused_before_anything_is_made(
    accounts: Callable[..., tuple[str, dict[str, str]]], members: object
) -> None:
    words, said = accounts(base_group_members=members, base_group="no-group-yet")
    assert "base_group_members names alicce, bbo, but this server has no such login" in words
    assert "adduser alicce" in words and not set(TASKS) & said.keys()
    assert "changed" not in said.values()
