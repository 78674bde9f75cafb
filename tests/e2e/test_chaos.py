"""Everything at once, at random: nothing is lost, nothing is done twice, nothing is left behind.

The seed is printed; the same seed gives the same events in the same order, though not at the same moments.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from e2e.chaos.crew import Crew
from e2e.chaos.events import Chaos
from e2e.chaos.place import Place, demo_videos, plain_videos
from e2e.chaos.verdict import Verdict
from gpu.nvml_machines import require_compiler
from lab import Lab

WEIGHTS = Path(__file__).resolve().parents[2] / "iblvideo_admin/demo/weights"
STUCK_S, REAL_STUCK_S = 4.0, 40.0
COMMAND_S = 0.5  # where a command takes longer, the machine is busy, and a job stands still for longer, too
CALM_LIMIT_S = 800.0


def survive(place: Place, dice: random.Random, workers: list[list[str]], events: int, stuck_s: float) -> None:
    """Queue everything, let so many events happen, and look whether all is as it should be then."""
    begun = time.monotonic()
    stuck_s *= min(max(place.queue() / COMMAND_S, 1.0), 4.0)
    crew = Crew(place, dice, workers, stuck_s)
    chaos, verdict = Chaos(place, crew, dice), Verdict(place, crew)
    ready = time.monotonic()
    print(f"a job that stands still for {stuck_s:.0f} s is ended")
    try:
        chaos.run(events, (0.05, 0.7))
    finally:
        print(f"{dict(chaos.happened)}; {crew.started} workers started")
    calm = time.monotonic()
    chaos.calm()
    print(verdict.so_far())
    crew.always_watch = True
    verdict.drain(CALM_LIMIT_S)
    crew.leave()
    done = time.monotonic()
    verdict.pronounce()
    print(f"{ready - begun:.0f} s to begin, {calm - ready:.0f} s of chaos, {done - calm:.0f} s of calm,"
          f" {time.monotonic() - done:.0f} s to look; by hand: {dict(verdict.by_hand)}")  # fmt: skip


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("seed", "videos", "events"),
    [(1, 12, 30), *(pytest.param(seed, 60, 200, marks=pytest.mark.full) for seed in range(1, 31))],
)
def test_three_workers_in_chaos(lab: Lab, seed: int, videos: int, events: int) -> None:
    require_compiler()
    print(f"seed {seed}")
    dice = random.Random(seed)  # noqa: S311  chance, not secrets
    place = Place(lab, dice, videos, plain_videos(lab.folder))
    try:
        survive(place, dice, [["--gpu", str(number)] for number in range(3)], events, STUCK_S)
    finally:
        place.close()


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_real_engine_in_chaos(lab: Lab, dlc_python: Path, seed: int) -> None:
    require_compiler()
    print(f"seed {seed}")
    lab.environment |= {"IBLVIDEO_ADMIN_DLC_PYTHON": str(dlc_python), "IBLVIDEO_ADMIN_WEIGHTS_DIR": str(WEIGHTS)}
    dice = random.Random(seed)  # noqa: S311  chance, not secrets
    place = Place(lab, dice, 6, demo_videos(lab.folder), cards=False)
    try:
        survive(place, dice, [[]], 30, REAL_STUCK_S)
    finally:
        place.close()
