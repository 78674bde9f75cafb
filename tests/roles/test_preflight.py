"""What roles ask of an inventory before they do anything: it is really asked, and numbers are texts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def role(play: Play, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """A function that runs one role against this machine: its exit status, and what was said."""
    (tmp_path / "Subjects").mkdir()

    def run(name: str, *arguments: str, **variables: object) -> tuple[int, str]:
        given = {"demo_folder": str(tmp_path), **variables}
        done = play("playbooks/provision.yml", "--tags", name, *arguments, inventory="demo/inventory", **given)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


def test_passwords_of_digits_arrive_as_texts(
    role: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a service they go into the home of whoever logs in, where the command line reads them."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    logins = {"one_alyx_login": 4711, "one_alyx_password": 12345678}
    server = {"data_server_user": 4712, "data_server_password": 87654321}
    code, said = role("one", one_alyx_url="https://alyx.example.org", **logins, **server)
    assert code == 0, said
    written = json.loads((tmp_path / "home/.one/.alyx.example.org").read_text())
    assert {written[name] for name in ("ALYX_LOGIN", "ALYX_PWD", "HTTP_DATA_SERVER_LOGIN", "HTTP_DATA_SERVER_PWD")} == {
        "4711", "12345678", "4712", "87654321",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("user", "password", "lacks"), [(4712, 87654321, ""), ("", 1, "data_server_user"), (1, "", "data_server_password")]
)
def test_a_login_of_digits_is_one(
    role: Callable[..., tuple[int, str]], user: object, password: object, lacks: str
) -> None:
    given = {"toolchain": "dlc-tf1-cuda10.0", "cudnn_from": "ibl", "base_min_free_gb": 0}
    code, said = role("cudnn", "--check", data_server_user=user, data_server_password=password, **given)
    assert (code != 0) is bool(lacks), said
    assert f"whose server asks for a login, but {lacks} is empty" in said if lacks else "asks for a login" not in said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho 3.8.10\n", "which is Python 3.8.10; the command line needs 3.10 or newer"),
        ("#!/bin/sh\nexit 127\n", "which does not run on this host; the command line needs 3.10 or newer"),
        (f'#!/bin/sh\nexec {sys.executable} "$@"\n', ""),
    ],
    ids=["old", "broken", "good"],
)
def test_the_python_of_the_command_line_is_judged(
    role: Callable[..., tuple[int, str]], tmp_path: Path, script: str, said: str
) -> None:
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)
    code, words = role("python", "--check", iblvideo_admin_python=str(python))
    assert (code != 0) is bool(said), words
    assert not said or f"iblvideo_admin_python is {python}, {said}" in words.replace("''", "'"), words
