"""What the pass costs apart from the networks: decoding alone against decoding, cutting, batches and points.

CPU seconds, decode and pass in turn and several times, the median of each: single runs differ by a tenth and more.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from bench import videos
from bench.measure import Row, measured
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Camera
from iblvideo_admin.tracking import regions, single_pass
from iblvideo_admin.tracking.pictures import Cutter
from iblvideo_admin.tracking.video import Reader

WEIGHTS = Path(__file__).resolve().parent.parent / "iblvideo_admin/demo/weights"
# about where the scene's anchors rest, in raw pixels
ANCHORS: dict[str, dict[str, tuple[float, float]]] = {
    "left": {"nose_tip": (341, 558), "pupil_top_r": (640, 320), "tube_top": (330, 684), "tube_bottom": (318, 740)},
    "right": {"nose_tip": (470, 279), "pupil_top_r": (320, 160), "tube_top": (475, 342), "tube_bottom": (481, 370)},
    "body": {"tail_start": (430, 300)},
}
TARGETS = {"left": 0.88, "right": 0.75, "body": 0.92}
FRAMES = {"left": 300, "right": 900, "body": 450}
TURNS = 7


class NullEngine:
    """Finds everything at once at (0, 0): what is left is everything but the networks."""

    name = "null"

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def load(self, _: list[NetworkFiles]) -> dict[str, str]:
        """Nothing to make ready."""
        return {}

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """The answer is there at once."""
        future: Future[np.ndarray] = Future()
        future.set_result(np.zeros((len(images), len(NETWORKS[network].points), 3), np.float32))
        return future

    def __enter__(self) -> NullEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def batch_sizes(camera: Camera) -> dict[str, int]:
    """Of the demo's networks."""
    return {network.name: network.batch_size for network in weights.load(WEIGHTS, weights.networks_of(camera))}


def whole(path: Path, camera: Camera) -> None:
    """The single pass over a video, with windows by hand and nothing for the networks to do."""
    reader = Reader(path, camera)
    cutter = Cutter(camera, reader.levels, regions.by_hand(ANCHORS[camera.name], camera).windows)
    single_pass.run(reader, camera, cutter, NullEngine(), batch_sizes(camera), lambda _: None)


def row(path: Path, camera: Camera, frames: int, turns: int) -> Row:
    """Measure one camera's video."""
    works: dict[str, Callable[[], object]] = {
        "decode": lambda: sum(1 for _ in Reader(path, camera).frames()),
        "pass": lambda: whole(path, camera),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            spent[name].append(measured(work))
    cpu = {name: statistics.median(cpu for cpu, _ in taken) for name, taken in spent.items()}
    wall = {name: statistics.median(wall for _, wall in taken) for name, taken in spent.items()}
    figures = (
        f"{name} {1000 * cpu[name] / frames:.2f} CPU ms a frame, {frames / wall[name]:.0f} frames/s" for name in works
    )
    size = path.stat().st_size / frames / 1000
    return Row(
        f"{camera.name}: decode alone against everything but the networks, CPU",
        f"{cpu['decode'] / cpu['pass']:.2f}",
        f">= {TARGETS[camera.name]}",
        f"{'; '.join(figures)}; {size:.1f} kB a frame, {frames} frames, median of {turns}",
    )


def rows(turns: int = TURNS) -> list[Row]:
    """A row per camera."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for camera in CAMERAS.values():
            path = Path(folder) / camera.raw_name
            videos.write(path, camera, FRAMES[camera.name])
            found.append(row(path, camera, FRAMES[camera.name], turns))
    return found
