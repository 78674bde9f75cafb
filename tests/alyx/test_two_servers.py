"""Two servers of one lab, each with its own repository; and two clients on one, which nobody should have."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alyx_day import Day
from alyx_lab import AlyxLab
from stand_ins.alyx import Server

from iblvideo_admin.alyx import taking

SUBJECTS = ("KS001", "KS002", "KS003", "KS004")


def two_labs(tmp_path: Path, server: Server) -> tuple[AlyxLab, AlyxLab]:
    server.world.repository("testlab2_SR", "/mnt/s0/Data/Subjects/", personal=True)
    server.world.labs["testlab"].append("testlab2_SR")
    return AlyxLab(tmp_path / "a", server), AlyxLab(tmp_path / "b", server, repository="testlab2_SR")


def given(labs: tuple[AlyxLab, AlyxLab]) -> list[str]:
    """Tasks, in turn of the one and of the other server; each has its own videos."""
    tasks = []
    for number, subject in enumerate(SUBJECTS):
        lab = labs[number % 2]
        _, (_, task, _) = lab.mouse(subject, "body")
        lab.world.tasks[task]["data_repository"] = lab.environment["IBLVIDEO_ADMIN_DATA_REPOSITORY"]
        tasks.append(task)
    return tasks


def agree(labs: tuple[AlyxLab, AlyxLab], tasks: list[str]) -> None:
    world = labs[0].world
    assert [world.status(task) for task in tasks] == ["Complete"] * len(SUBJECTS)
    assert [world.seen(task) for task in tasks] == [["Started", "Complete"]] * len(SUBJECTS)
    for number, lab in enumerate(labs):
        assert sorted(lab.tables()) == [f"{subject} body" for subject in SUBJECTS[number::2]]
    for dataset in world.registered():
        number = SUBJECTS.index(world.sessions[dataset["session"]]["subject"]) % 2
        there = [record["data_repository"] for record in dataset["file_records"] if record["exists"]]
        assert there == [("testlab_SR", "testlab2_SR")[number]]
    assert len(world.registered()) == len(SUBJECTS)


def test_each_takes_its_own(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    labs = two_labs(tmp_path, server)
    tasks = given(labs)
    days = [Day(lab, monkeypatch) for lab in labs]
    for _ in range(6):
        for day in days:
            day.look()
            day.work()
    agree(labs, tasks)
    for day in days:
        day.close()


@pytest.mark.full
def test_each_takes_its_own_at_the_same_time(tmp_path: Path, server: Server) -> None:
    server.world.pause_s = 0.005
    labs = two_labs(tmp_path, server)
    tasks = given(labs)
    processes = [lab.start("process", "--source", "alyx") for lab in labs]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    agree(labs, tasks)


@pytest.mark.full
def test_two_clients_on_one_repository_have_one_owner_of_each_task(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alyx alone would let both have it: 15 of 15 in the recording."""
    monkeypatch.setattr(taking, "LOOK_AGAIN_S", 1.0)
    server.world.pause_s = 0.005
    labs = AlyxLab(tmp_path / "a", server), AlyxLab(tmp_path / "b", server)
    labs[1].environment["HOME"] = labs[0].environment["HOME"]
    days = [Day(lab, monkeypatch) for lab in labs]
    for round_ in range(8):
        session = server.world.session(f"KS{round_:03d}")
        task = server.world.pipeline(session)[1]
        together = threading.Barrier(2)
        owned: list[bool] = []

        def claim(day: Day, row: dict, together: threading.Barrier = together, owned: list[bool] = owned) -> None:
            from iblvideo_admin.alyx.book import Book
            from iblvideo_admin.queue.ledger import Ledger

            with Ledger(day.settings.state_dir) as ledger:
                together.wait()
                owned.append(taking.claim(Book(ledger, day.drain.place), day.drain.client, row) is not None)

        row = dict(server.world.tasks[task])
        threads = [threading.Thread(target=claim, args=(day, row)) for day in days]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(owned) == [False, True]
    for day in days:
        day.close()
