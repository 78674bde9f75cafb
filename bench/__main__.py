"""How fast a session is tracked, and where the time goes: ``make bench`` (or ``python -m bench [--seconds S]``).

Renders a session, then measures per camera, in one run, CPU and wall time of: decoding alone, decoding and cutting
every network's pictures, the whole pass with an engine that does nothing, and with TensorFlow where it is installed.
Only ratios of one run mean anything: machines differ and are busy.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from iblvideo_admin.demo.session import render_session
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1
from iblvideo_admin.render import columns
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Camera
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import regions, single_pass
from iblvideo_admin.tracking.pictures import Cutter
from iblvideo_admin.tracking.track import networks_of
from iblvideo_admin.tracking.video import Reader

ROOT = Path(__file__).resolve().parent.parent
DLC_PYTHON = ROOT / ".cache/dlc-tf1-cpu/current/bin/python"
WEIGHTS = ROOT / "iblvideo_admin/demo/weights"
# about where the scene's anchors rest, in raw pixels
ANCHORS: dict[str, dict[str, tuple[float, float]]] = {
    "left": {"nose_tip": (341, 558), "pupil_top_r": (640, 320), "tube_top": (330, 684), "tube_bottom": (318, 740)},
    "right": {"nose_tip": (470, 279), "pupil_top_r": (320, 160), "tube_top": (475, 342), "tube_bottom": (481, 370)},
    "body": {"tail_start": (430, 300)},
}


class NullEngine:
    """Finds everything at once at (0, 0): what is left is everything but the networks."""

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        future: Future[np.ndarray] = Future()
        future.set_result(np.zeros((len(images), len(NETWORKS[network].points), 3), np.float32))
        return future


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds (this process and its ended children) and wall seconds."""

    def cpu() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    before, begun = cpu(), time.perf_counter()
    work()
    return cpu() - before, time.perf_counter() - begun


def bench(session: Path, camera: Camera) -> list[tuple[str, ...]]:
    """The rows of one camera."""
    video = Video(session, camera)
    frames = sum(1 for _ in Reader(video.path, camera).frames())
    windows = regions.by_hand(ANCHORS[camera.name], camera).windows
    sizes = {network.name: network.batch_size for network in weights.load(WEIGHTS, networks_of(camera))}

    def cut() -> None:
        reader = Reader(video.path, camera)
        cutter = Cutter(camera, reader.levels, windows)
        for luma in reader.frames():
            cutter.cut(luma)

    def whole(engine: object) -> None:
        reader = Reader(video.path, camera)
        cutter = Cutter(camera, reader.levels, windows)
        single_pass.run(reader, camera, cutter, engine, sizes, lambda _: None)  # type: ignore[arg-type]

    works: dict[str, Callable[[], object]] = {
        "decode": lambda: sum(1 for _ in Reader(video.path, camera).frames()),
        "decode, cut": cut,
        "pass without networks": lambda: whole(NullEngine()),
    }
    rows = []
    for name, work in works.items():
        spent, wall = measured(work)
        rows.append(row(camera, name, frames, spent, wall))
    if DLC_PYTHON.exists():
        with open(os.devnull, "wb") as log, TensorFlow1(DLC_PYTHON, log) as engine:
            _, start = measured(lambda: engine.load(weights.load(WEIGHTS, networks_of(camera))))
            _, wall = measured(lambda: whole(engine))
        rows.append((camera.name, f"pass with TensorFlow (start {start:.1f} s)", "", "", f"{frames / wall:.1f}"))
    return rows


def row(camera: Camera, name: str, frames: int, spent: float, wall: float) -> tuple[str, ...]:
    """A line of the table."""
    return (camera.name, name, str(frames), f"{1000 * spent / frames:.2f}", f"{frames / wall:.1f}")


def main() -> int:
    """Render, measure, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seconds", type=float, default=5.0, help="length of each video (default: 5)")
    seconds = options.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "bench/2026-01-15/001"
        render_session(session, seconds=seconds)
        rows: list[tuple[str, ...]] = [("camera", "what", "frames", "CPU ms/frame", "frames/s")]
        for camera in CAMERAS.values():
            rows += bench(session, camera)
    print("\n".join(columns(rows)))
    if not DLC_PYTHON.exists():
        print("SKIPPED: the pass with TensorFlow; `make dlc-venv` builds its environment")
    return 0


if __name__ == "__main__":
    sys.exit(main())
