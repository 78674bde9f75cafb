"""A ledger that was lost is held until a person has looked; one that is new is not, whatever was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import add_job

from iblvideo_admin.queue import repair
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.settings import Settings


class Killed(BaseException):
    pass


def kill(*_: object, **__: object) -> None:
    raise Killed


def first_only(enter: Callable[..., Any]) -> Callable[..., Any]:
    calls = iter([enter])

    def entered(*folder: Any) -> Any:
        return next(calls, kill)(*folder)

    return entered


def test_the_first_job_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is there, its row is not: that is no lost ledger."""
    with Ledger(tmp_path) as ledger, monkeypatch.context() as patch:
        patch.setattr(Ledger, "_note", kill)
        with pytest.raises(Killed):
            add_job(ledger)
    ledger, changes = repair.open_repaired(Settings(state_dir=tmp_path))
    with ledger:
        assert [str(change) for change in changes] == ["job 1: entered as Waiting"]
        assert ledger.held() is None


def test_a_repair_of_a_lost_ledger_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(tmp_path) as ledger:
        add_job(ledger, "A")
        add_job(ledger, "B")
    for path in tmp_path.glob("ledger.sqlite*"):
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(repair, "_enter", first_only(repair._enter))
        with pytest.raises(Killed):
            repair.open_repaired(Settings(state_dir=tmp_path))
    ledger, _ = repair.open_repaired(Settings(state_dir=tmp_path))
    with ledger:
        assert len(ledger.jobs("Waiting")) == 2
        assert ledger.held() is not None and "made anew from 2 folders" in str(ledger.held())


def test_whoever_comes_first_holds_a_ledger_that_is_made_anew(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        add_job(ledger, "A")
    for path in tmp_path.glob("ledger.sqlite*"):
        path.unlink()
    with Ledger(tmp_path) as ledger:
        add_job(ledger, "B")
    ledger, _ = repair.open_repaired(Settings(state_dir=tmp_path))
    with ledger:
        assert len(ledger.jobs("Waiting")) == 2 and ledger.held() is not None


def test_a_repair_removes_what_was_never_renamed(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        folder = ledger.paths(add_job(ledger).id).folder
        (folder / "job.json.tmp").write_text("{")
        repair.repair(ledger, Settings(state_dir=tmp_path))
        assert sorted(path.name for path in folder.iterdir()) == ["job.json", "lock"]
