"""Ledgers of every schema there was open, and one of a newer version where that one says so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from lab import add_job

from iblvideo_admin.alyx.book import Book, TaskCamera
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.states import Complete, Errored, Held, Started


def from_dump(folder: Path, number: int) -> Ledger:
    """A ledger of an older schema, from the text in which a release of that time has left it."""
    dump = (Path(__file__).parent / f"ledger_{number}.sql").read_text()
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.executescript(dump)
    return Ledger(folder)


def test_a_ledger_of_schema_1_still_opens(tmp_path: Path) -> None:
    with from_dump(tmp_path, 1) as ledger:
        assert [job.state.status for job in ledger.jobs()] == ["Complete", "Errored", "Held"]
        assert ledger.job(2).state == Errored(20.0, "video.corrupt", "m", "r")
        assert [ledger.job(number).deaths for number in (1, 2, 3)] == [0, 0, 0]
        assert ledger.last("Complete") == ledger.job(1), "its columns are filled from what the state says"
        assert ledger.seen() and ledger.held() is None


def test_a_ledger_of_schema_2_still_opens(tmp_path: Path) -> None:
    with from_dump(tmp_path, 2) as ledger:
        wanted = ["Waiting", "Complete", "Errored", "Held", "Started", "Abandoned"]
        assert [job.state.status for job in ledger.jobs()] == wanted
        assert ledger.job(3).acknowledged == 40.0 and ledger.job(6).pruned == 50.0
        assert (ledger.job(4).attempts, ledger.job(4).deaths) == (2, 2)
        assert ledger.job(4).state == Held(32.0, "its process died 2 times", 0.0, "job.died")
        assert ledger.wishes() == {5} and ledger.job(5).state == Started(20.0, 4711, "GPU-a", "w")
        assert ledger.devices()[0].reason == "others use it"
        assert ledger.held() is None, "the hold has ended by itself, long ago"


def test_a_ledger_of_schema_3_still_opens(tmp_path: Path) -> None:
    with from_dump(tmp_path, 3) as ledger:
        book = Book(ledger, "https://alyx.test lab")
        (task,) = book.tasks("tracking")
        assert (task.id, task.folder, task.nonce) == ("t1", "/data/Subjects/KS001/2026-01-15/001", "n1")
        assert book.cameras("t1") == [
            TaskCamera("t1", "left", 1, True, "", ""),
            TaskCamera("t1", "body", None, False, "video.missing", "m"),
        ]
        assert [(letter.kind, letter.outcome) for letter in book.letters("t1")] == [
            ("status", "done"),
            ("register", ""),
        ]
        assert book.noted("clock") == (50.0, 1.5)


def grown(folder: Path) -> None:
    """A ledger as a later version leaves it that only adds: a column of every table, and a table."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        tables = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall()
        for (name,) in tables:
            db.execute(f"ALTER TABLE {name} ADD COLUMN later TEXT NOT NULL DEFAULT ''")
        db.execute("CREATE TABLE yet_more (value TEXT)")
        db.execute("PRAGMA user_version = 99")


def test_a_server_that_was_led_back_goes_on_with_what_a_newer_version_only_added_to(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        add_job(ledger, "A")
    grown(tmp_path)
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger, "B")
        ledger.move(job.id, Started(5.0, pid=7), "started")
        ledger.move(job.id, Complete(9.0, 600, 20.0, 30.0, "abc", ()), "tracked")
        ledger.tell_device("GPU-a", "others use it")
        ledger.hold(True, "new cards")
        book = Book(ledger, "here")
        book.claim("t1", "DLC", "s1", "n1")
        book.add_camera(TaskCamera("t1", "left", job.id, True, "", ""))
        book.post("t1", "status", {"status": "Started"})
        book.note("clock", 1.5)
    with Ledger(tmp_path) as ledger:
        assert [job.state.status for job in ledger.jobs()] == ["Waiting", "Complete"]
        assert "new cards" in (ledger.held() or "") and ledger.devices()[0].reason == "others use it"
        book = Book(ledger, "here")
        assert [letter.kind for letter in book.waiting()] == ["status"] and book.noted("clock")
        assert ledger.ask("PRAGMA user_version") == [(99,)]


@pytest.mark.parametrize("said", ["UPDATE readers SET oldest = 99", "DROP TABLE readers"])
def test_else_it_is_refused(tmp_path: Path, said: str) -> None:
    with Ledger(tmp_path):
        pass
    grown(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute(said)
    with pytest.raises(UserError, match="newer iblvideo-admin") as caught:
        Ledger(tmp_path)
    assert caught.value.code == "state.not_usable"
