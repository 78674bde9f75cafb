"""Where to look: the anchors found on some whole frames, and the windows that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.engines.base import Engine
from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import NETWORKS, Camera
from iblvideo_admin.tracking.pictures import Box, levels_for, networks_frame, to_networks
from iblvideo_admin.tracking.video import Reader

SURE = 0.9  # likelihood from which a point counts
FEWEST, MOST = 20, 500  # frames looked at


@dataclass(frozen=True)
class Anchor:
    """A point's mean position in the networks' frame, its spread, and from how many frames."""

    x: float
    y: float
    spread: float
    frames: int


@dataclass(frozen=True)
class Regions:
    """The anchors, the windows, and how they were found (``found`` or ``by hand``)."""

    how: str
    anchors: dict[str, Anchor]
    windows: dict[str, Box]
    frames: tuple[int, ...]

    def as_data(self) -> dict[str, Any]:
        """As plain values, for the provenance."""
        return {
            "how": self.how,
            "anchors": {name: vars(anchor) for name, anchor in self.anchors.items()},
            "windows": {name: vars(box) for name, box in self.windows.items()},
            "frames": list(self.frames),
        }


def sample(frames: int, rate: float) -> tuple[int, ...]:
    """The numbers of the frames to look at: clip(seconds, 20, 500) of them, spread evenly over the video."""
    count = min(int(np.clip(frames / rate if rate else FEWEST, FEWEST, MOST)), frames)
    return tuple(int(number) for number in np.unique(np.linspace(0, frames - 1, count).round().astype(int)))


def by_hand(points: Mapping[str, tuple[float, float]], camera: Camera) -> Regions:
    """Windows from points that a person gave in raw pixels."""
    anchors = {name: Anchor(*to_networks(x, y, camera), 0.0, 0) for name, (x, y) in points.items()}
    return Regions("by hand", anchors, _windows(anchors, camera), ())


def find(
    reader: Reader,
    camera: Camera,
    engine: Engine,
    picture: Callable[[list[tuple[int, np.ndarray, np.ndarray]]], Path | None],
    progress: Callable[[int, int], None],
) -> Regions:
    """Run the region network on sampled frames and place each network's window at the mean of its anchors.

    Raises ``regions.not_found`` where an anchor of some window is sure in no frame; ``picture`` then gets the
    frames looked at, each with its number and points (points, 3), and returns where it drew them.
    """
    network = NETWORKS[camera.region_network]
    table = levels_for(network, reader.levels)
    numbers = sample(reader.info.frames, reader.info.rate)
    shown: list[tuple[int, np.ndarray, np.ndarray]] = []
    found: list[np.ndarray] = []
    looked: list[int] = []
    for number, luma in reader.frames_at(numbers):
        frame = table[networks_frame(luma, camera)]
        points = engine.submit(network.name, frame[np.newaxis]).result()[0]
        if len(shown) < 4:
            shown.append((number, frame, points))
        found.append(points)
        looked.append(number)
        progress(len(looked), len(numbers))
    if not found:
        raise UserError("video.corrupt", f"none of {len(numbers)} sampled frames of {reader.path} can be decoded")
    anchors = _anchors(np.stack(found), network.points)
    missing = _missing(anchors, camera)
    if missing:
        drawn = picture(shown)
        where = f"; what was looked at: {drawn}" if drawn else ""
        best = ", ".join(f"{name} {np.stack(found)[:, network.points.index(name), 2].max():.2f}" for name in missing)
        raise UserError(
            "regions.not_found",
            f"no anchor found in {len(looked)} frames of {reader.path} (best likelihood: {best}){where}",
        )
    return Regions("found", anchors, _windows(anchors, camera), tuple(looked))


def needed(camera: Camera) -> tuple[str, ...]:
    """The points from which the camera's windows follow."""
    names = (name for network in camera.networks if (w := NETWORKS[network].window) for name in w.anchors)
    return tuple(dict.fromkeys(names))


def _anchors(points: np.ndarray, names: tuple[str, ...]) -> dict[str, Anchor]:
    anchors = {}
    for column, name in enumerate(names):
        sure = points[points[:, column, 2] >= SURE, column, :2].astype(float)
        if len(sure):
            x, y = sure.mean(axis=0)
            spread = float(np.hypot(*sure.std(axis=0)))
            anchors[name] = Anchor(float(x), float(y), spread, len(sure))
    return anchors


def _missing(anchors: Mapping[str, Anchor], camera: Camera) -> list[str]:
    """Anchors of windows of which not one anchor was found."""
    missing: list[str] = []
    for name in camera.networks:
        window = NETWORKS[name].window
        if window is not None and not any(anchor in anchors for anchor in window.anchors):
            missing += window.anchors
    return missing


def _windows(anchors: Mapping[str, Anchor], camera: Camera) -> dict[str, Box]:
    """A box for each network that has a window, moved inside the frame where it would cross the border."""
    boxes = {}
    for name in camera.networks:
        window = NETWORKS[name].window
        if window is None:
            continue
        of = [anchors[anchor] for anchor in window.anchors if anchor in anchors]
        x = round(sum(anchor.x for anchor in of) / len(of)) + window.dx
        y = round(sum(anchor.y for anchor in of) / len(of)) + window.dy
        width, height = camera.frame_size
        boxes[name] = Box(
            min(max(x, 0), width - window.width), min(max(y, 0), height - window.height), window.width, window.height
        )
    return boxes
