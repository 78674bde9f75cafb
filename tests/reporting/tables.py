"""Tables for tests: made of nothing, or of a drawn mouse's truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.table import METADATA_KEY


def write(path: Path, points: dict[str, np.ndarray], provenance: Any = None) -> Path:
    """Points, each (frames, 3) with x, y and likelihood."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        f"{name}_{what}": xyp[:, i] for name, xyp in points.items() for i, what in enumerate(("x", "y", "likelihood"))
    }
    table = pa.table({name: np.asarray(values, np.float64) for name, values in columns.items()})
    if provenance is not None:
        table = table.replace_schema_metadata({METADATA_KEY: json.dumps(provenance).encode()})
    pq.write_table(table, path)
    return path


def still(frames: int, **places: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """Points that do not move."""
    return {name: np.tile(np.array(place, float), (frames, 1)) for name, place in places.items()}


def tracked(video: Video, frames: int, seed: int = 0) -> Path:
    """A table for a video, points somewhere in its picture, sure and unsure."""
    rng = np.random.default_rng(seed)
    camera = CAMERAS[video.camera.name]
    points = {}
    for name in camera.points:
        start = rng.uniform(0.2, 0.8, 2) * (camera.width, camera.height)
        walk = start + np.cumsum(rng.normal(0, 1, (frames, 2)), axis=0)
        points[name] = np.column_stack([walk, rng.choice([0.3, 0.99], frames)])
    windows = {"nose_tip": {"x": 300, "y": 300, "width": 100, "height": 100}}
    return write(video.table, points, {"regions": {"windows": windows}})
