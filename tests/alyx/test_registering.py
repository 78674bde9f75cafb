"""Tables made known to Alyx: once, whatever the network does, and never against a protection."""

from __future__ import annotations

import threading
import time

import pytest
from alyx_day import Day
from alyx_lab import md5_of_bytes

from iblvideo_admin.alyx.delivery import MOST_ATTEMPTS
from iblvideo_admin.alyx.registering import SETTLE
from iblvideo_admin.alyx.trouble import TroubleError


def tracked(day: Day, *cameras: str) -> str:
    """A task whose jobs have ended; gives its id."""
    task = day.mouse("KS001", *cameras)[1][1]
    day.look()
    day.work()
    return task


def is_over(day: Day) -> None:
    """The time is over in which a request without an answer may still be under way."""
    day.ledger.change("UPDATE outbox SET sent = sent - ? WHERE sent > 0", (SETTLE * day.drain.client.limit_s,))
    day.ledger.change("UPDATE outbox SET due = 0")


def test_what_is_protected_is_asked_before_the_work(day: Day) -> None:
    session, (_, task, _) = day.mouse("KS001", "left", "body")
    day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"of a paper", protected=True)
    day.look()
    assert [job.camera for job in day.ledger.jobs()] == ["body"]
    day.pass_()
    assert day.lab.world.status(task) == "Incomplete" and "alyx.protected" in day.lab.world.tasks[task]["log"]
    (row,) = day.lab.world.registered("left")
    assert row["hash"] == md5_of_bytes(b"of a paper") and len(day.lab.world.registered()) == 2


def test_all_protected_is_errored_without_any_work(day: Day) -> None:
    session, (_, task, _) = day.mouse("KS001", "left")
    day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"of a paper", protected=True)
    day.pass_()
    assert day.lab.world.status(task) == "Errored" and not day.ledger.jobs()


def test_what_becomes_protected_during_the_work_stays_where_it_is(day: Day) -> None:
    """ONE would move our file into a folder of its own."""
    task = tracked(day, "left")
    session = day.lab.world.tasks[task]["session"]
    day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"of a paper", protected=True)
    before = day.lab.tables()
    day.pass_()
    assert day.lab.world.status(task) == "Errored" and day.lab.tables() == before
    assert "not registered: alyx.protected" in day.lab.world.tasks[task]["log"]
    assert [path.name for path in day.lab.at("KS001", "left").alf.iterdir() if "#" in path.name] == []


def test_a_protection_that_comes_in_the_very_moment(day: Day) -> None:
    """Between our question and our request: Alyx says 403, and nothing is moved."""
    task = tracked(day, "left")
    session = day.lab.world.tasks[task]["session"]
    real = day.drain.client.post

    def post(path: str, data: dict[str, object]) -> object:
        day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"of a paper", protected=True)
        return real(path, data)

    day.drain.client.post = post  # type: ignore[method-assign]
    before = day.lab.tables()
    day.pass_()
    assert day.lab.world.status(task) == "Errored" and day.lab.tables() == before
    assert len(day.lab.world.registered()) == 1


@pytest.mark.parametrize("how", ["close", "cut", "hang", "502 html", "200 html"])
@pytest.mark.parametrize("after", [False, True])
def test_after_a_request_without_an_answer_alyx_is_asked_first(day: Day, how: str, after: bool) -> None:
    day.drain.client.limit_s = 0.3
    task = tracked(day, "left")
    day.lab.server.faults.add(how, "POST /register-file", after=after, seconds=1)
    with pytest.raises(TroubleError):
        day.look()
    assert len(day.lab.world.registered()) == int(after)
    for _ in range(3):
        day.look()
    assert day.lab.server.faults.count("POST /register-file") == 1, "not before the request must be over"
    assert day.lab.world.status(task) == "Started" and not day.drain.is_over(day.ledger)
    is_over(day)
    day.pass_()
    assert day.lab.server.faults.count("POST /register-file") == 2 - after
    assert len(day.lab.world.registered()) == 1 and day.lab.world.status(task) == "Complete"


def test_a_registration_that_alyx_does_when_nobody_waits_any_more(day: Day) -> None:
    day.drain.client.limit_s = 0.2
    task = tracked(day, "left")
    day.lab.server.faults.add("late", "POST /register-file", seconds=0.4)
    with pytest.raises(TroubleError):
        day.look()
    assert not day.lab.world.registered()
    time.sleep(0.5)
    assert len(day.lab.world.registered()) == 1
    is_over(day)
    day.pass_()
    assert day.lab.server.faults.count("POST /register-file") == 1
    assert len(day.lab.world.registered()) == 1 and day.lab.world.status(task) == "Complete"


def test_a_dataset_that_is_doubled_in_alyx_is_a_persons_business(day: Day) -> None:
    task = tracked(day, "left", "body")
    session = day.lab.world.tasks[task]["session"]
    for _ in range(2):
        day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"doubled")
    day.pass_()
    assert day.lab.world.status(task) == "Incomplete" and "2 datasets" in day.lab.world.tasks[task]["log"]
    assert len(day.lab.world.registered("left")) == 2 and len(day.lab.world.registered("body")) == 1


def test_what_alyx_fails_at_again_and_again_ends_the_task(day: Day) -> None:
    task = tracked(day, "left")
    day.lab.server.faults.add("500", "POST /register-file", times=100)
    for _ in range(MOST_ATTEMPTS):
        day.look()
        day.ledger.change("UPDATE outbox SET due = 0")
    day.pass_()
    assert day.lab.server.faults.count("POST /register-file") == MOST_ATTEMPTS
    assert day.lab.world.status(task) == "Errored" and "answers 500: boom" in day.lab.world.tasks[task]["log"]
    assert any("boom" in note for note in day.drain.notes)


def test_one_task_that_alyx_fails_at_hinders_no_other(day: Day) -> None:
    first = tracked(day, "left")
    session = day.lab.world.tasks[first]["session"]
    day.lab.server.faults.add("500", f"GET /datasets.*{session}", times=2)
    other = day.mouse("KS002", "body")[1][1]
    for _ in range(2):
        day.look()
        day.work()
    assert day.lab.world.status(other) == "Complete" and day.lab.world.status(first) == "Started"
    for _ in range(3):
        day.ledger.change("UPDATE outbox SET due = 0")
        day.look()
    assert day.lab.world.status(first) == "Complete"


def test_a_new_trace_of_a_registered_dataset_updates_it(day: Day) -> None:
    session, (_, task, _) = day.mouse("KS001", "left")
    dataset = day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"older")
    day.pass_()
    (row,) = day.lab.world.registered()
    assert row["id"] == dataset and row["hash"] == md5_of_bytes(day.lab.tables()["KS001 left"])
    assert {r["data_repository"]: r["exists"] for r in row["file_records"]} == {
        "testlab_SR": True, "flatiron_testlab": False,
    }  # fmt: skip
    assert day.lab.world.status(task) == "Complete"


def test_a_table_that_is_gone_before_it_was_registered(day: Day) -> None:
    task = tracked(day, "left", "body")
    day.lab.at("KS001", "left").table.unlink()
    day.pass_()
    assert day.lab.world.status(task) == "Incomplete" and "cannot be read" in day.lab.world.tasks[task]["log"]


def test_two_that_register_at_once_would_double_a_dataset_in_this_alyx(day: Day) -> None:
    """That the stand-in is as careless as the real one, or the tests here would show nothing."""
    day.lab.world.pause_s = 0.05
    session = day.lab.world.session("KS001")
    assert session
    data = {"created_by": "dlc_server", "path": "KS001/2026-01-10/001", "filenames": ["alf/_ibl_leftCamera.dlc.pqt"],
            "hashes": ["0" * 32], "filesizes": [3], "name": "testlab_SR", "versions": ["x"]}  # fmt: skip
    day.drain.client.user()
    other = type(day.drain.client)(day.settings)
    threads = [
        threading.Thread(target=client.post, args=("/register-file", data)) for client in (day.drain.client, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(day.lab.world.registered()) == 2
    with pytest.raises(TroubleError, match="more than one Dataset") as error:
        day.drain.client.post("/register-file", data)
    assert error.value.kind == "broken"
