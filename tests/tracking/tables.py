"""What the tests of tables share."""

import hashlib
from pathlib import Path

import numpy as np

from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table

FRAMES = 50

PROVENANCE = {"schema": 1, "software": {"engine": "fake"}, "warnings": []}


def some_points(names: tuple[str, ...], seed: int = 0, frames: int = FRAMES) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(0, 1, (frames, 3)) for name in names}


def deliver(video: Video, seed: int = 0, *, replace: bool = False, frames: int = FRAMES) -> str:
    return table.deliver(video, [some_points(video.camera.points, seed, frames)], PROVENANCE, replace=replace)


def files_of(video: Video) -> set[str]:
    return {str(path.relative_to(video.alf)) for path in video.alf.rglob("*") if not path.is_dir()}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
