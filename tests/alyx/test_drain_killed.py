"""A drain that is killed at any moment is gone on with; and what it writes into a log."""

from __future__ import annotations

import json
import time

import pytest
from alyx_day import Day

from iblvideo_admin.alyx import words
from iblvideo_admin.alyx.book import Book
from iblvideo_admin.alyx.trouble import TroubleError


def test_killed_between_claim_and_mark(day: Day) -> None:
    session, (_, task, _) = day.mouse("KS001", "left")
    nonce = day.book.claim(task, "DLC", session, "abc").nonce
    day.ledger.change("UPDATE tasks SET since = ?", (time.time() - 1000,))
    day.pass_()
    assert day.lab.world.status(task) == "Complete"
    assert nonce in words.claim(nonce)


def test_killed_between_mark_and_jobs(day: Day) -> None:
    session, (_, task, _) = day.mouse("KS001", "left")
    day.book.claim(task, "DLC", session, "abc")
    day.ledger.change("UPDATE tasks SET since = ?", (time.time() - 1000,))
    day.lab.world.tasks[task] |= {"status": "Started", "log": words.claim("abc")}
    day.pass_()
    assert day.lab.world.status(task) == "Complete"


def test_a_server_that_is_called_otherwise_after_a_reboot(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    session, (_, task, _) = day.mouse("KS001", "left")
    day.book.claim(task, "DLC", session, "abc")
    day.ledger.change("UPDATE tasks SET since = ?", (time.time() - 1000,))
    day.lab.world.tasks[task] |= {"status": "Started", "log": words.claim("abc")}
    monkeypatch.setattr(words.socket, "gethostname", lambda: "another")
    day.pass_()
    assert day.lab.world.status(task) == "Complete"


def test_a_task_of_ours_that_is_started_again_by_others_is_seen(day: Day) -> None:
    _, (_, task, _) = day.mouse("KS001", "left")
    day.pass_()
    day.lab.world.set_status(task, "Started")
    day.look()
    seen = day.book.noted("foreign")
    assert seen is not None and seen[1] == [task]


def test_a_claim_without_an_answer_is_not_looked_into_while_it_may_come(day: Day) -> None:
    _, (_, task, _) = day.mouse("KS001", "left")
    day.lab.server.faults.add("close", "PATCH /tasks")
    with pytest.raises(TroubleError):
        day.look()
    asked = day.lab.server.faults.count("GET /tasks/")
    day.look()
    assert day.lab.server.faults.count("GET /tasks/") == asked
    day.ledger.change("UPDATE tasks SET since = ?", (time.time() - 1000,))
    day.pass_()
    assert day.lab.world.status(task) == "Complete"


def test_killed_after_an_end_status_that_alyx_heard(day: Day) -> None:
    _, (_, task, child) = day.mouse("KS001", "left")
    day.look()
    day.work()
    day.lab.server.faults.add("close", "PATCH /tasks", after=True)
    with pytest.raises(TroubleError):
        day.look()
    assert day.lab.world.status(task) == "Complete" and day.lab.world.status(child) == "Held"
    day.pass_()
    assert day.lab.world.seen(task) == ["Started", "Complete"] and day.lab.world.status(child) == "Waiting"


def test_only_this_places_letters_are_delivered(day: Day) -> None:
    """A ledger that moved to another repository, or Alyx: what belongs to the old one waits for it."""
    session, (_, task, _) = day.mouse("KS001", "left")
    other = Book(day.ledger, "https://other.example testlab_SR")
    other.claim(task, "DLC", session, "abc")
    other.post(task, "status", {"outcomes": {}, "log": "", "seconds": 0})
    assert not day.book.waiting() and len(other.waiting()) == 1


def test_a_log_is_bounded_and_holds_no_secret(day: Day) -> None:
    _, (_, task, _) = day.mouse("KS001", "left")
    day.look()
    day.work()
    token = next(iter(day.lab.world.tokens))
    text = f"secret-password-1 \0 {token} http://me:pw@host/x Authorization: Token {'a' * 40} \ud800 " + "x" * 300_000
    paths = day.ledger.paths(1)
    paths.log.write_bytes(text.encode("utf-8", "surrogatepass") + b"secret-password-1 \xff the end")
    day.pass_()
    log = day.lab.world.tasks[task]["log"]
    assert len(log.encode()) <= words.LOG_BYTES and log.endswith("the end")
    for secret in ("secret-password", token, "me:pw", "a" * 40, "\0"):
        assert secret not in log
    assert json.dumps(day.book.letters(task)[1].data).count("log") == 0, "the ledger keeps no log that was told"


@pytest.mark.parametrize("text", ["", "x", "é" * 60_000, "x" * 100_001])
def test_bounded(text: str) -> None:
    found = words.bounded(text)
    assert len(found.encode()) <= words.LOG_BYTES
    assert found == text or "bytes left out" in found
