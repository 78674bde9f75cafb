"""A task's life, look by look: claimed, grouped, ended, told; by the real drain over HTTP."""

from __future__ import annotations

import pytest
from alyx_day import Day

from iblvideo_admin.alyx import words


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
