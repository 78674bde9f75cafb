"""Our pass over the same video, with windows that are given."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from bench.reference.pipeline import Window
from iblvideo_admin.engines import weights
from iblvideo_admin.rigs import NETWORKS, Camera
from iblvideo_admin.tracking import filter as filtering
from iblvideo_admin.tracking import single_pass
from iblvideo_admin.tracking.pictures import Box, Cutter, to_raw
from iblvideo_admin.tracking.video import Reader


class NullEngine:
    """Finds everything at once at (0, 0): what is left is everything but the networks."""

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """See :class:`iblvideo_admin.engines.base.Engine`."""
        future: Future[np.ndarray] = Future()
        future.set_result(np.zeros((len(images), len(NETWORKS[network].points), 3), np.float32))
        return future


def boxes(windows: Mapping[str, Window]) -> dict[str, Box]:
    """The reference's windows as ours: at whole pixels, rounded as ffmpeg's ``crop`` does before it makes them even."""
    return {name: Box(round(x), round(y), int(width), int(height)) for name, (width, height, x, y) in windows.items()}


def bias(network: str, camera: Camera, windows: Mapping[str, Window]) -> np.ndarray:
    """How far (x, y in raw pixels) the reference moves a network's points by rounding its window and not its offset."""
    _, _, x, y = windows.get(network, (0.0, 0.0, 0.0, 0.0))
    moved = np.array([x - round(x) // 2 * 2, y - round(y) // 2 * 2]) / camera.upscaled
    return moved * (-1, 1) if camera.mirrored else moved


def track(
    raw: Path, camera: Camera, folder: Path, windows: Mapping[str, Window], engine: Any, *, even_offsets: bool = False
) -> dict[str, np.ndarray]:
    """The main pass and what follows it but the table: each point's (frames, 3) in raw pixels."""
    networks = weights.load(folder, camera.networks)
    reader, placed = Reader(raw, camera), boxes(windows)
    found = single_pass.run(
        reader,
        camera,
        Cutter(camera, reader.levels, placed, even_offsets=even_offsets),
        engine,
        {network.name: network.batch_size for network in networks},
        lambda _: None,
    )
    points: dict[str, np.ndarray] = {}
    for network in networks:
        values = np.asarray(found[network.name], np.float64)
        filtering.median(values)
        in_raw = to_raw(values, network.name, camera, placed)
        points |= {
            name: in_raw[:, network.points.index(name)]
            for name in NETWORKS[network.name].points
            if name in network.points
        }
    return points
