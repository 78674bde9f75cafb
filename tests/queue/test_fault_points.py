"""Every moment at which something is renamed, linked, synced or committed: killed there, the next start heals it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import FRAMES, Fault, Faults, Point, Snapshot, healed, old_or_new, repaired
from lab import Lab, statuses

from iblvideo_admin.queue import hands
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.outcome import read_result
from iblvideo_admin.sessions import Video

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/queue.md"
UNKNOWN = "docs/queue.md must say what these points leave"
STATE_FILES = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")


# ---------------------------------------------------------------------------------------- what was there before


def fresh(lab: Lab, video: Video) -> None:
    """Nothing but the video."""


def waiting(lab: Lab, video: Video) -> None:
    assert lab.json("queue", "add", video.path)["exit_code"] == 0


def held(lab: Lab, video: Video) -> None:
    waiting(lab, video)
    assert lab.json("queue", "hold", "1")["exit_code"] == 0


def done(lab: Lab, video: Video) -> None:
    assert lab.json("process", video.path)["exit_code"] == 0


def errored(lab: Lab, video: Video) -> None:
    content = video.path.read_bytes()
    video.path.write_bytes(b"x")
    assert lab.json("process", video.path)["exit_code"] == 1
    video.path.write_bytes(content)


def lost(lab: Lab, video: Video) -> None:
    done(lab, video)
    for name in STATE_FILES:
        (lab.folder / "state" / name).unlink(missing_ok=True)


def damaged(lab: Lab, video: Video) -> None:
    done(lab, video)
    (lab.folder / "state/ledger.sqlite").write_bytes(b"no database" * 1000)
    (lab.folder / "state/ledger.sqlite-wal").write_bytes(b"")


# ---------------------------------------------------------------------------------------- between fault and healing


def nothing(lab: Lab, video: Video) -> None:
    """Nothing more than :func:`old_or_new`."""


def given_up_or_not(lab: Lab, video: Video) -> None:
    """The ledger says what the folder says."""
    repaired(lab)
    with Ledger(lab.folder / "state") as ledger:
        result = read_result(ledger.paths(1))
        assert ledger.job(1).state.status == ("Waiting" if result is None else "Abandoned")


def kept_or_gone(lab: Lab, video: Video) -> None:
    repaired(lab)
    with Ledger(lab.folder / "state") as ledger:
        job = ledger.job(1)
        assert job.state.status == "Complete"
        assert ledger.paths(1).folder.exists() == (job.pruned is None)


def held_until_seen(lab: Lab, video: Video) -> None:
    """Whoever makes the ledger anew, and whatever interrupts it: a person looks before anything is started."""
    repaired(lab)
    with Ledger(lab.folder / "state") as ledger:
        assert [job.state.status for job in ledger.jobs()] == ["Complete"]
        assert ledger.held() is not None


def let_go(lab: Lab) -> None:
    """A person has looked."""
    with Ledger(lab.folder / "state") as ledger:
        ledger.hold(False)
        for job in ledger.jobs("Held"):
            hands.release(ledger, job.id)


@dataclass(frozen=True)
class Scenario:
    """A command on what was there before; ``kind`` is the process that goes wrong, ``only`` the points that do.

    ``between`` says what must be true before the next start; ``holds``: a person must look before that.
    """

    command: str
    before: Callable[[Lab, Video], None] = fresh
    kind: str = "queue"
    between: Callable[[Lab, Video], None] = nothing
    holds: bool = False
    only: str = ""
    stand_in: str = ""

    def words(self, video: Video) -> list[str]:
        return [str(video.path) if word == "PATH" else word for word in self.command.split()]


SCENARIOS = {
    "worker": Scenario("process PATH", kind="process"),
    "child": Scenario("process PATH", kind="run-job"),
    "worker, overwriting": Scenario("process PATH --overwrite", done, "process"),
    "child, overwriting": Scenario("process PATH --overwrite", done, "run-job"),
    "worker, the engine crashes": Scenario(
        "process PATH", kind="process", only="result.N|progress|folder#|settle", stand_in="crash"
    ),
    "add": Scenario("queue add PATH"),
    "retry": Scenario("queue retry 1", errored),
    "cancel": Scenario("queue cancel 1", waiting, between=given_up_or_not),
    "hold": Scenario("queue hold 1", waiting, holds=True),
    "hold all": Scenario("queue hold", waiting, holds=True),
    "release": Scenario("queue release 1", held, holds=True),
    "priority": Scenario("queue priority 1 5", waiting),
    "acknowledge": Scenario("queue acknowledge 1", errored),
    "prune": Scenario("queue prune --older-than 0", done, between=kept_or_gone),
    "repair, lost": Scenario("queue repair", lost, between=held_until_seen, holds=True),
    "repair, damaged": Scenario("queue repair", damaged, between=held_until_seen, holds=True),
}


class Case:
    """A scenario in a lab, as often as one likes."""

    def __init__(self, scenario: Scenario, lab: Lab) -> None:
        self.scenario, self.lab, self.faults = scenario, lab, Faults(lab)
        self.video = lab.video("body", FRAMES)
        scenario.before(lab, self.video)
        self.before = self.video.table.read_bytes() if self.video.table.exists() else None
        self._snapshot = Snapshot(lab)

    def points(self) -> list[Point]:
        """Run it without a fault."""
        self._snapshot.restore()
        done = self._run()
        assert done in ((0, 1) if self.scenario.stand_in else (0,))
        return [p for p in self.faults.points(self.scenario.kind) if re.search(self.scenario.only, p.at)]

    def check(self, point: Point, how: str) -> None:
        """Run it with a fault; then the next start heals."""
        self._snapshot.restore()
        status = self._run(Fault(point.kind, point.at, how))
        assert self.faults.happened() == 1, "the point was not passed"
        if point.kind != "run-job":
            assert status in ((-9,) if how in ("before", "after") else (0, 1, 3)), status
        old_or_new(self.video, self.before)
        self.scenario.between(self.lab, self.video)
        if self.scenario.holds:
            let_go(self.lab)
        # a scan leaves alone what failed or was given up: a person names it
        named = [self.video.path] if statuses(self.lab) in (["Errored"], ["Abandoned"]) else []
        document = self.lab.json("process", *named)
        assert document["exit_code"] == 0, document
        if statuses(self.lab) == ["Errored"]:  # its last attempt had failed before the fault: a person names it
            assert self.lab.json("process", self.video.path)["exit_code"] == 0
        healed(self.lab, self.video, self.before)

    def _run(self, *faults: Fault) -> int:
        environment = {**self.faults.environment(*faults), "STAND_IN": self.scenario.stand_in}
        return self.lab.run(*self.scenario.words(self.video), "--json", **environment).returncode


def rows() -> set[str]:
    """The points of which the page says what they leave."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("## What each crash point leaves")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.full
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_goes_wrong_the_next_start_heals(lab: Lab, name: str) -> None:
    case = Case(SCENARIOS[name], lab)
    points = case.points()
    assert points
    wrong, tried = [], 0
    for point in points:
        for how in point.ways():
            tried += 1
            try:
                case.check(point, how)
            except AssertionError as error:
                wrong.append(f"{how} {point.at}: {str(error)[:600]}")
    print(json.dumps({"scenario": name, "points": [p.at for p in points], "faults": tried, "wrong": len(wrong)}))
    assert not wrong, "\n".join(wrong)
    assert {point.name for point in points} <= rows(), UNKNOWN


def test_every_point_of_a_jobs_process_once(lab: Lab) -> None:
    """Many jobs in one queue, each goes wrong once, and each at another point; the worker tries them again."""
    faults = Faults(lab)
    first, second = (lab.video("body", FRAMES, lab.session(subject)) for subject in ("A", "B"))
    assert lab.json("process", first.path)["exit_code"] == 0
    assert lab.json("process", second.path, **faults.environment())["exit_code"] == 0
    points = faults.points("run-job")
    assert len(points) > 12
    assert {point.name for point in points} <= rows(), UNKNOWN
    videos, planned = [], []
    for index, point in enumerate(points):
        video = Video(lab.session(f"C{index:02d}"), first.camera)
        shutil.copy2(first.path, video.path)
        videos.append(video)
        planned.append(Fault("run-job", point.at, point.ways()[index % len(point.ways())], f"{index + 3:06d}"))
    document = lab.json("process", limit_s=280, **faults.environment(*planned))
    assert faults.happened() == len(planned)
    assert document["exit_code"] == 0, document["errors"]
    for video in (first, second, *videos):
        healed(lab, video, None)
