"""A trial that passed is remembered for just the set-up that it went through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iblvideo_admin.demo import __main__ as command
from iblvideo_admin.demo import smoke, trial

PASS = {"result": "pass", "said": "30 frames"}
AGAIN = {"result": "pass", "said": "30 frames (nothing has changed since)"}


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that lead to an environment through a link, as the roles make it, and a machine that is up."""
    for name in ("first", "second"):
        (tmp_path / f"envs/{name}/bin").mkdir(parents=True)
    (tmp_path / "envs/current").symlink_to("first")
    (tmp_path / "config.toml").write_text(f'dlc_python = "{tmp_path}/envs/current/bin/python"\n')
    (tmp_path / "boot_id").write_text("a\n")
    monkeypatch.setenv("IBLVIDEO_ADMIN_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(trial, "_MACHINE", (tmp_path / "boot_id", tmp_path / "driver"))


def test_it_is_remembered(tmp_path: Path) -> None:
    assert trial.passed(tmp_path) is None
    trial.remember(tmp_path, PASS)
    assert trial.passed(tmp_path) == AGAIN


@pytest.mark.parametrize("change", ["environment", "settings", "start", "driver", "version", "damaged", "not ours"])
def test_what_changes_has_it_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    trial.remember(tmp_path, PASS)
    if change == "environment":
        (tmp_path / "envs/current").unlink()
        (tmp_path / "envs/current").symlink_to("second")
    elif change == "settings":
        with (tmp_path / "config.toml").open("a") as file:
            file.write('gpus = "none"\n')
    elif change in ("start", "driver"):
        (tmp_path / {"start": "boot_id"}.get(change, change)).write_text("b\n")
    elif change == "version":
        monkeypatch.setattr("sys.prefix", str(tmp_path))
    else:
        (tmp_path / trial.NAME).write_text({"damaged": "{", "not ours": '{"of": 1, "at_s": 2}'}[change])
    assert trial.passed(tmp_path) is None


def test_it_is_made_again_in_time(tmp_path: Path) -> None:
    trial.remember(tmp_path, PASS)
    at_s = json.loads((tmp_path / trial.NAME).read_text())["at_s"]
    assert trial.passed(tmp_path, at_s + trial.KEPT_S - 1) == AGAIN
    assert trial.passed(tmp_path, at_s + trial.KEPT_S) is None
    assert trial.passed(tmp_path, at_s - 1) is None, "the clock was turned back"


@pytest.mark.parametrize("result", ["fail", "skip"])
def test_what_did_not_pass_is_no_proof(tmp_path: Path, result: str) -> None:
    trial.remember(tmp_path, PASS)
    trial.remember(tmp_path, {"result": result, "said": "x"})
    assert trial.passed(tmp_path) is None


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[Any] = []
    monkeypatch.setattr(smoke, "run", lambda scratch: made.append(scratch) or PASS)
    words = ["smoke", "--scratch", str(tmp_path)]
    assert command.main([*words, "--remembered"]) == 1
    assert json.loads(capsys.readouterr().out)["result"] == "none" and not made
    for more, wanted, trials in (([], PASS, 1), (["--remembered"], AGAIN, 1), ([], PASS, 2)):
        assert command.main([*words, *more]) == 0
        assert json.loads(capsys.readouterr().out) == wanted and len(made) == trials
    assert command.main(["smoke", "--remembered"]) == 1, "there is no folder of the server's own"
