"""People and other clients change a task meanwhile: what is theirs stays theirs."""

from __future__ import annotations

import pytest
from alyx_day import Day
from alyx_lab import AlyxLab

from iblvideo_admin.alyx.drain import Drain
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands


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
