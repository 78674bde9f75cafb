"""Pictures of a drawn mouse as each network sees them, and where its points truly are."""

from __future__ import annotations

from functools import cache

import numpy as np

from iblvideo_admin.demo.scenes import View, raw_to_network
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Camera
from iblvideo_admin.tracking import regions
from iblvideo_admin.tracking.luma import limited_to_full
from iblvideo_admin.tracking.pictures import Cutter, levels_for, networks_frame

FRAMES, RATE, SEED = 8, 60.0, 7  # a batch as the demo's networks were trained on
_WHOLE = "roi_detect"


@cache
def scene() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """By network: pictures (frames, height, width) uint8, and the truth (frames, points, 2) in their pixels.

    The truth is nan where a point is hidden.  The network of whole frames gets one frame only.
    """
    pictures: dict[str, np.ndarray] = {}
    truth: dict[str, np.ndarray] = {}
    for name in ("left", "body"):
        _add(CAMERAS[name], pictures, truth)
    return pictures, truth


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """The largest of the points' median distances, px; nan where numbers are missing, 0 where all is hidden.

    ``found`` and ``truth`` are (frames, points, 2).
    """
    distances = np.hypot(*np.moveaxis(found - truth, 2, 0))
    seen = np.isfinite(truth[:, :, 0])
    medians = [np.median(distances[there, point]) for point, there in enumerate(seen.T) if there.any()]
    return float(np.max(medians, initial=0.0))


def _add(camera: Camera, pictures: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> None:
    view = View(camera, SEED)
    motion = view.motion(np.arange(FRAMES) / RATE)
    frames = [view.frame(motion, index) for index in range(FRAMES)]
    raw = view.truth(motion)
    there = {name: raw_to_network(camera, place) for name, place in raw.items()}
    windows = regions.by_hand({name: tuple(raw[name].mean(axis=0)) for name in camera.anchors}, camera).windows
    levels = limited_to_full()
    cutter = Cutter(camera, levels, windows)
    cut = {name: np.empty((FRAMES, *cutter.shape(name)), np.uint8) for name in camera.networks}
    for index, frame in enumerate(frames):
        cutter.cut(frame, {name: places[index] for name, places in cut.items()})
    for name in camera.networks:
        network = NETWORKS[name]
        offset = (windows[name].x, windows[name].y) if name in windows else (0, 0)
        pictures[name] = levels_for(network, levels)[cut[name]]
        truth[name] = (np.stack([there[point] for point in network.points], axis=1) - offset) / network.points_factor
    if camera.region_network == _WHOLE:
        pictures[_WHOLE] = levels[networks_frame(frames[0], camera)][np.newaxis]
        truth[_WHOLE] = np.stack([there[point][:1] for point in NETWORKS[_WHOLE].points], axis=1)
