"""`ansible-playbook site.yml` as typed: without somebody to serve it fails and says what to type."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Play = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("inventory", "limit", "reason"),
    [
        (None, None, "there is no inventory"),
        ("[iblvideo_servers]\n", None, "is empty"),
        ("[iblvideo_servers]\n[others]\nelsewhere\n", None, "is empty"),
        ("[videoservers]\nserver1\n", None, "has no group iblvideo_servers"),
        ("[iblvideo_servers]\nserver1\n[others]\nelsewhere\n", "others", "--limit leaves nobody"),
    ],
    ids=["none", "empty", "empty-beside-others", "other-name", "limited"],
)
def test_nobody_to_serve(play: Play, tmp_path: Path, inventory: str | None, limit: str | None, reason: str) -> None:
    path = tmp_path / "inventory"
    if inventory is not None:
        path.write_text(inventory)
    done = play("site.yml", *(["--limit", limit] if limit else []), inventory=path)
    assert done.returncode != 0
    said = " ".join(done.stdout.split() + done.stderr.split())
    assert reason in said
    assert "cp inventory.example inventory" in said
    assert "Gathering Facts" not in said, "a server was already being asked"


def test_the_example_is_read(play: Play) -> None:
    done = play("site.yml", "--list-hosts", inventory="inventory.example")
    assert done.returncode == 0, done.stderr
    assert "videoserver1" in done.stdout


def test_syntax(play: Play) -> None:
    # site.yml brings in all the others
    for playbook in ("site.yml", "playbooks/environment.yml"):
        done = play(playbook, "--syntax-check", inventory="inventory.example")
        assert done.returncode == 0, done.stderr
