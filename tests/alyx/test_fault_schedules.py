"""Whatever goes wrong, and in whatever order: in the end Alyx and the disk agree, and nothing was told twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from alyx_lab import AlyxLab, md5_of_bytes
from alyx_life import Lives
from stand_ins.alyx import Server, answers

from iblvideo_admin.rigs import CAMERAS

LIMIT_S = 0.3
SEEDS = 60
FAST = 2
REQUESTS = (
    "POST /auth-token", "GET /api/schema", "GET /tasks\\?", "GET /tasks/", "PATCH /tasks", "GET /sessions",
    "GET /check-protected", "GET /dataset-types", "GET /datasets", "POST /register-file", "POST /register-file", "",
)  # fmt: skip
WRONG = ("502 html", "503", "429", "200 html", "cut", "close", "bad token", "500", "hang", "late", "kill", "kill")
MOST_LIVES = 40


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    lives = Lives()
    yield lives
    lives.close()


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.full] if seed >= FAST else []) for seed in range(SEEDS)]
)
def test_a_random_schedule(seed: int, tmp_path: Path, lives: Lives) -> None:
    chance = random.Random(seed)  # noqa: S311
    (tmp_path / "data").mkdir()
    with Server(tmp_path / "data", pause_s=0.002) as server:
        lab = AlyxLab(tmp_path / "lab", server, limit_s=LIMIT_S)
        lab.environment["IBLVIDEO_ADMIN_ALYX_EVERY_S"] = "0.05"
        server.faults.kill = lives.kill
        subjects, corrupt = mice(lab, chance)
        for _ in range(chance.randint(4, 12)):
            server.faults.add(
                chance.choice(WRONG), chance.choice(REQUESTS), times=chance.choice((1, 1, 1, 2, 3)),
                skip=chance.randint(0, 6), after=chance.random() < 0.5, seconds=LIMIT_S * 2, retry_after="0.2",
            )  # fmt: skip
        status = -9
        with rude_client(lab, lab.world.tasks) if seed % 3 == 2 else nullcontext():
            for life in range(MOST_LIVES):
                if chance.random() < 0.2:
                    lives.kill_in(chance.uniform(0.05, 1.5))
                status = lives.live(lab.environment, corrupt=corrupt)
                assert status in (0, -9), f"life {life} ended with {status}"
                if status == 0:
                    break
        assert status == 0, "it never ended"
        agree(lab, subjects, corrupt, once=seed % 3 != 2)


@contextmanager
def rude_client(lab: AlyxLab, tasks: Iterable[str]) -> Iterator[None]:
    """Somebody who changes priorities all the time: each save writes back the status as it was read before."""
    over = threading.Event()

    def change() -> None:
        chance, keys = random.Random(0), list(tasks)  # noqa: S311
        while not over.wait(0.02):
            answers.answer(lab.world, "PATCH", f"/tasks/{chance.choice(keys)}", {}, {"priority": 60}, "other", "")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def mice(lab: AlyxLab, chance: random.Random) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Some sessions with tasks; gives each one's task and child, and the cameras whose videos are corrupt."""
    subjects, corrupt = {}, []
    for number in range(chance.randint(1, 3)):
        subject = f"KS{number}"
        cameras = chance.sample(sorted(CAMERAS), chance.randint(1, 3))
        session = lab.world.session(subject)
        for camera in cameras:
            path = lab.at(subject, camera).path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"a video")
            if chance.random() < 0.2:
                corrupt.append(f"{subject} {camera}")
        subjects[subject] = lab.world.pipeline(session, name=chance.choice(("DLC", "EphysDLC", "TrainingDLC")))[1:]
    return subjects, corrupt


def agree(lab: AlyxLab, subjects: dict[str, tuple[str, str]], corrupt: list[str], *, once: bool) -> None:
    """Each output is registered once, as it lies on the disk, and each status is right."""
    world, tables = lab.world, lab.tables()
    registered = [f"{world.sessions[d['session']]['subject']} {d['name'][5:-14]}" for d in world.registered()]
    assert sorted(registered) == sorted(tables)
    for name, row in zip(registered, world.registered(), strict=True):
        assert (row["file_size"], row["hash"]) == (len(tables[name]), md5_of_bytes(tables[name]))
    for subject, (task, child) in subjects.items():
        videos = {
            path.name.removesuffix("Camera.raw.mp4")[8:] for path in lab.subjects.glob(f"{subject}/*/*/raw*/_ib*")
        }
        bad = {camera for camera in videos if f"{subject} {camera}" in corrupt}
        wanted = "Complete" if not bad else "Errored" if bad == videos else "Incomplete"
        assert world.status(task) == wanted, world.tasks[task]["log"]
        assert world.status(child) == ("Held" if wanted == "Errored" else "Waiting")
        assert {name.split()[1] for name in tables if name.split()[0] == subject} == videos - bad
        assert world.seen(task).count(wanted) == 1 or not once
