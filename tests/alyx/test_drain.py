"""A task's life, look by look: claimed, grouped, ended, told; by the real drain over HTTP."""

from __future__ import annotations

import json
import time

import pytest
from alyx_day import Day
from alyx_lab import AlyxLab

from iblvideo_admin.alyx import words
from iblvideo_admin.alyx.book import Book
from iblvideo_admin.alyx.drain import Drain
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands

# ---------------------------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("cameras", "corrupt", "named", "status", "child"),
    [
        (("left", "body"), (), None, "Complete", "Waiting"),
        (("left", "body"), ("left",), None, "Incomplete", "Waiting"),
        (("left", "body"), (), ("left", "right", "body"), "Incomplete", "Waiting"),
        (("left",), ("left",), None, "Errored", "Held"),
        (("left",), ("left",), ("left", "right"), "Errored", "Held"),
        ((), (), None, "Empty", "Held"),
        ((), (), ("left",), "Empty", "Held"),
        (("left",), (), ("left", "belly"), "Incomplete", "Waiting"),
    ],
)
def test_a_group_ends_as_its_jobs_did(
    day: Day, cameras: tuple[str, ...], corrupt: tuple[str, ...], named: tuple[str, ...] | None, status: str, child: str
) -> None:
    _, (_, task, after) = day.mouse("KS001", *cameras, cameras=named)
    day.corrupt = tuple(f"KS001 {camera}" for camera in corrupt)
    day.pass_()
    assert (day.lab.world.status(task), day.lab.world.status(after)) == (status, child)
    row = day.lab.world.tasks[task]
    assert all(f"{camera}: Errored (video.corrupt" in row["log"] for camera in corrupt)
    assert row["version"] == words.version() and len(day.lab.world.registered()) == len(day.lab.tables())
    if cameras:
        assert row["time_elapsed_secs"] == pytest.approx(1.5 * (len(cameras) - len(corrupt)), abs=0.5)


def test_a_patch_carries_only_what_changed(day: Day) -> None:
    """The serializer saves whole rows, so what is not ours must not be in it."""
    sent = []
    real = day.drain.client.patch

    def patch(endpoint: str, key: str, **fields: object) -> dict[str, object]:
        sent.append(sorted(fields))
        return real(endpoint, key, **fields)

    day.drain.client.patch = patch  # type: ignore[method-assign]
    day.mouse("KS001", "left")
    day.pass_()
    assert sent == [["log", "status", "version"], ["log", "status", "time_elapsed_secs", "version"], ["status"]]


def test_parents_that_are_not_done_hold_a_task_as_ibllib_does(day: Day) -> None:
    session, (parent, task, _) = day.mouse("KS001", "left")
    for status in ("Waiting", "Errored", "Started", "Empty"):
        day.lab.world.set_status(parent, status)
        day.lab.world.set_status(task, "Waiting")
        day.look()
        assert day.lab.world.status(task) == "Held" and not day.ledger.jobs() and day.book.task(task) is None
    day.lab.world.tasks[task]["parents"] = [parent, "00000000-0000-4000-8000-000000000000"]
    day.lab.world.set_status(parent, "Incomplete")
    day.lab.world.set_status(task, "Waiting")
    day.look()
    assert day.lab.world.status(task) == "Held"
    day.lab.world.tasks[task]["parents"] = [parent]
    day.lab.world.set_status(task, "Waiting")
    day.pass_()
    assert day.lab.world.status(task) == "Complete"
    assert session


def test_a_child_waits_for_all_its_parents(day: Day) -> None:
    session, (parent, task, child) = day.mouse("KS001", "left")
    other = day.lab.world.task(session, "Other", "Waiting")
    day.lab.world.tasks[child]["parents"] = [task, other]
    stranger = day.lab.world.task(session, "Unrelated", "Held", (parent,))
    day.pass_()
    assert (day.lab.world.status(child), day.lab.world.status(stranger)) == ("Held", "Held")


def test_old_names_and_only_this_repository(day: Day) -> None:
    world = day.lab.world
    world.repository("otherlab_SR", "/mnt/s0/Data/Subjects/", personal=True)
    ours = [day.mouse(f"KS00{i}", "body", name=name)[1][1] for i, name in enumerate(("DLC", "EphysDLC", "TrainingDLC"))]
    session, (_, foreign, _) = day.mouse("KS009", "body")
    world.tasks[foreign]["data_repository"] = "otherlab_SR"
    pose = world.task(session, "LightningPose")
    day.pass_(12)
    assert [world.status(task) for task in ours] == ["Complete"] * 3
    assert (world.status(foreign), world.status(pose)) == ("Waiting", "Waiting")
    assert set(world.labs) == {"testlab"}


def test_no_more_is_claimed_than_can_be_begun(day: Day) -> None:
    tasks = [day.mouse(f"KS{i:03d}", "body")[1][1] for i in range(5)]
    day.look()
    day.look()
    assert sorted(day.lab.world.status(task) for task in tasks) == ["Started"] * 2 + ["Waiting"] * 3
    day.pass_(12)
    assert {day.lab.world.status(task) for task in tasks} == {"Complete"}


def test_while_the_queue_is_held_nothing_is_claimed(day: Day) -> None:
    _, (_, task, _) = day.mouse("KS001", "left")
    day.ledger.hold(True, "a look")
    day.look()
    assert day.lab.world.status(task) == "Waiting" and day.drain.is_over(day.ledger)
    day.ledger.hold(False)
    day.pass_()
    assert day.lab.world.status(task) == "Complete"


def test_a_first_start_with_tasks_is_held_until_somebody_looked(day: Day) -> None:
    _, (_, task, _) = day.mouse("KS001", "left")
    day.drain._cautious = True
    day.look()
    assert "first start with 1 tasks" in str(day.ledger.held()) and day.lab.world.status(task) == "Waiting"
    day.ledger.hold(False)
    day.pass_()
    assert day.lab.world.status(task) == "Complete"


def test_a_table_that_is_there_is_registered_and_not_made_again(day: Day) -> None:
    day.mouse("KS001", "left")
    day.pass_()
    before = day.lab.tables()
    (row,) = day.lab.world.registered()
    session = row["session"]
    again = day.lab.world.task(session, "EphysDLC")
    day.pass_()
    assert day.lab.world.status(again) == "Complete" and day.lab.tables() == before
    assert [dataset["id"] for dataset in day.lab.world.registered()] == [row["id"]]
    assert len(day.ledger.jobs()) == 1


def test_a_table_of_others_is_registered_without_our_name(day: Day) -> None:
    day.mouse("KS001", "left")
    table = day.lab.at("KS001", "left").table
    table.parent.mkdir(parents=True)
    table.write_bytes(b"ibllib made this")
    day.pass_()
    (row,) = day.lab.world.registered()
    assert row["version"] is None and table.read_bytes() == b"ibllib made this"


def test_a_task_that_is_set_to_waiting_again_is_tried_again(day: Day) -> None:
    _, (_, task, _) = day.mouse("KS001", "left")
    day.corrupt = ("KS001 left",)
    day.pass_()
    assert day.lab.world.status(task) == "Errored"
    day.corrupt = ()
    day.lab.world.set_status(task, "Waiting")
    day.pass_()
    assert day.lab.world.status(task) == "Complete"
    assert day.lab.world.seen(task) == ["Started", "Errored", "Started", "Complete"]


# ---------------------------------------------------------------------------------------- what people and others do


@pytest.mark.parametrize("status", ["Abandoned", "Held", "Waiting", "Complete", "Errored"])
def test_a_task_that_somebody_takes_away_is_stopped(day: Day, status: str) -> None:
    _, (_, task, child) = day.mouse("KS001", "left", "body")
    day.look()
    assert [job.state.status for job in day.ledger.jobs()] == ["Waiting", "Waiting"]
    day.ledger.hold(True)  # else a Waiting one is claimed again at once
    day.lab.world.set_status(task, status)
    day.look()
    assert [job.state.status for job in day.ledger.jobs()] == ["Abandoned", "Abandoned"]
    day.work()
    day.look()
    assert (day.lab.world.status(task), day.lab.world.status(child)) == (status, "Held")
    assert not day.lab.world.registered() and not day.book.letters(task)


def test_a_job_that_a_person_asked_for_too_goes_on(day: Day) -> None:
    from iblvideo_admin.queue import plan

    _, (_, task, _) = day.mouse("KS001", "left")
    plan.enter([day.lab.at("KS001", "left")], day.ledger)
    day.look()
    day.lab.world.set_status(task, "Abandoned")
    day.look()
    assert [job.state.status for job in day.ledger.jobs()] == ["Waiting"]


@pytest.mark.parametrize("status", ["Abandoned", "Held", "Waiting"])
def test_an_end_status_overwrites_nobody(day: Day, status: str) -> None:
    """Between our last look and the end of the work."""
    _, (_, task, _) = day.mouse("KS001", "left")
    day.look()
    day.work()
    day.ledger.hold(True)
    day.lab.world.set_status(task, status)
    day.look()
    assert day.lab.world.status(task) == status
    assert [(letter.kind, letter.outcome) for letter in day.book.letters(task)] == [
        ("register", "done"), ("status", "overtaken"), ("children", "overtaken"),
    ]  # fmt: skip
    day.ledger.hold(False)
    day.pass_()
    assert day.lab.world.status(task) == ("Complete" if status == "Waiting" else status)


def test_a_task_that_is_gone_from_alyx_stops_nobody(day: Day) -> None:
    _, (_, gone, _) = day.mouse("KS001", "left")
    _, (_, other, _) = day.mouse("KS002", "left")
    day.look()
    day.work()
    day.look()
    del day.lab.world.tasks[gone]
    day.pass_()
    assert day.lab.world.status(other) == "Complete"


def test_cancelled_jobs_make_an_abandoned_task(day: Day) -> None:
    _, (_, task, child) = day.mouse("KS001", "left")
    day.look()
    hands.cancel(day.ledger, 1)
    day.pass_()
    assert (day.lab.world.status(task), day.lab.world.status(child)) == ("Abandoned", "Held")


def test_started_tasks_of_others_are_theirs(day: Day) -> None:
    """ibllib's, on the same repository: neither resumed, nor is another task of their sessions taken."""
    session, (_, theirs, _) = day.mouse("KS001", "left")
    beside = day.lab.world.task(session, "EphysDLC")
    day.lab.world.set_status(theirs, "Started")
    _, (_, ours, _) = day.mouse("KS002", "left")
    for _ in range(3):
        day.look()
        day.work()
    world = day.lab.world
    assert (world.status(theirs), world.status(beside), world.status(ours)) == ("Started", "Waiting", "Complete")
    seen = day.book.noted("foreign")
    assert seen is not None and seen[1] == [theirs]


def test_two_clients_that_claim_at_once_have_one_owner(day: Day) -> None:
    """The other writes its mark after ours and before we look again."""
    _, (_, task, _) = day.mouse("KS001", "left")
    real = day.drain.client.patch

    def patch(endpoint: str, key: str, **fields: object) -> dict[str, object]:
        answer = real(endpoint, key, **fields)
        if fields.get("status") == "Started":
            day.lab.world.tasks[task]["log"] = "another server's claim"
        return answer

    day.drain.client.patch = patch  # type: ignore[method-assign]
    day.look()
    known = day.book.task(task)
    assert known is not None and (known.phase, known.because) == ("left", "another client took it")
    assert not day.ledger.jobs()
    for _ in range(2):
        day.look()
    assert day.lab.world.tasks[task]["log"] == "another server's claim"


@pytest.mark.parametrize("whose", ["task", "child"])
def test_a_status_that_another_client_undoes_is_said_again(day: Day, whose: str) -> None:
    """Alyx saves whole rows: who changes a priority at the same moment writes the old status back."""
    _, (_, task, child) = day.mouse("KS001", "left")
    key, wanted, old = (task, "Complete", "Started") if whose == "task" else (child, "Waiting", "Held")
    real, undone = day.drain.client.patch, []

    def patch(endpoint: str, key_: str, **fields: object) -> dict[str, object]:
        answer = real(endpoint, key_, **fields)
        if (key_, fields.get("status")) == (key, wanted) and not undone:
            undone.append(key_)
            day.lab.world.set_status(key, old)
        return answer

    day.drain.client.patch = patch  # type: ignore[method-assign]
    day.pass_()
    day.ledger.change("UPDATE outbox SET due = 0")
    day.look()
    assert undone and (day.lab.world.status(task), day.lab.world.status(child)) == ("Complete", "Waiting")


def test_one_drain_for_a_repository(day: Day) -> None:
    with pytest.raises(UserError) as error:
        Drain(day.settings)
    assert error.value.code == "alyx.busy"


def test_dlc_tasks_says_who_takes_them(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", alyx_lab.environment["HOME"])
    for value, code in (("ibllib", "alyx.not_ours"), ("both", "settings.invalid")):
        with pytest.raises(UserError) as error:
            Drain(alyx_lab.settings(IBLVIDEO_ADMIN_DLC_TASKS=value))
        assert error.value.code == code


# ---------------------------------------------------------------------------------------- killed at any moment


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


# ---------------------------------------------------------------------------------------- what goes into a log


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
