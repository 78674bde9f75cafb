"""Where to look: the anchors found on some whole frames, and the windows that follow from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
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
# The mouse's head is fixed, so an anchor is one place. Sure points farther from their median than half a window are
# chance and left out of the mean; an anchor that is sure in too few frames, or of which most points are left out, is
# none. (The IBL's pipeline takes the mean of whatever is sure: the same where nothing is chance.)
LEAST_PART = 0.1
AHEAD = 2  # whole frames that wait for the network while the next one is decoded
SHOWN = 4  # frames that a person is shown where nothing is found


@dataclass(frozen=True)
class Anchor:
    """A point's mean position in the networks' frame, its spread (px), from how many frames, and how many left out."""

    x: float
    y: float
    spread: float
    frames: int
    left_out: int = 0


@dataclass(frozen=True)
class Regions:
    """The anchors, the windows, and how they were found (``found`` or ``by hand``).

    ``frames`` are the numbers of the frames looked at; ``left_out`` those that could not be decoded undamaged.
    """

    how: str
    anchors: dict[str, Anchor]
    windows: dict[str, Box]
    frames: tuple[int, ...]
    left_out: tuple[int, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """As plain values, for the provenance."""
        return {
            "how": self.how,
            "anchors": {name: vars(anchor) for name, anchor in self.anchors.items()},
            "windows": {name: vars(box) for name, box in self.windows.items()},
            "frames": list(self.frames),
            "frames_left_out": list(self.left_out),
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
    names: Sequence[str],
    picture: Callable[[list[tuple[int, np.ndarray, np.ndarray]]], Path | None],
    progress: Callable[[int, int], None],
) -> Regions:
    """Run the region network on sampled frames and place each network's window at the mean of its anchors.

    ``names`` are the network's points in its own order.  Raises ``regions.not_found`` where no anchor of some
    window is found; ``picture`` then gets the frames looked at, each with its number and points (points, 3), and
    returns where it drew them.  Raises ``video.corrupt`` where no sampled frame can be decoded, and what the reader
    and the engine raise.
    """
    network = NETWORKS[camera.region_network]
    table = levels_for(network, reader.levels)
    numbers = sample(reader.pictures, reader.info.rate)
    shown: list[tuple[int, np.ndarray, np.ndarray]] = []
    found: list[np.ndarray] = []
    looked: list[int] = []
    frames = ((number, table[networks_frame(luma, camera)]) for number, luma in reader.frames_at(numbers))
    for number, frame, points in _ahead(engine, network.name, frames):
        if len(shown) < SHOWN:
            shown.append((number, frame, points))
        found.append(points)
        looked.append(number)
        progress(len(looked), len(numbers))
    if not found:
        raise UserError("video.corrupt", f"none of {len(numbers)} sampled frames of {reader.path} can be decoded")
    left_out = tuple(sorted(set(numbers) - set(looked)))
    if left_out:
        reader.warnings.append(
            f"{len(left_out)} of {len(numbers)} frames sampled for the regions could not be decoded undamaged, "
            f"the first is frame {left_out[0]}"
        )
    everywhere = _sure_points(np.stack(found), names, camera)
    anchors = {name: anchor for name, anchor in everywhere.items() if _is_place(anchor, len(looked))}
    missing = _missing(anchors, camera)
    if missing:
        drawn = picture(shown)
        where = f"; what was looked at: {drawn}" if drawn else ""
        seen = ", ".join(f"{name} {_seen(everywhere.get(name), len(looked))}" for name in missing)
        raise UserError("regions.not_found", f"no anchor found in {reader.path}: {seen}{where}")
    return Regions("found", anchors, _windows(anchors, camera), tuple(looked), left_out)


def _ahead(
    engine: Engine, network: str, frames: Iterator[tuple[int, np.ndarray]]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each frame with its number and points, (points, 3), while the next ones are already decoded."""
    waiting: deque[tuple[int, np.ndarray, Future[np.ndarray]]] = deque()
    for number, frame in frames:
        waiting.append((number, frame, engine.submit(network, frame[np.newaxis])))
        if len(waiting) > AHEAD:
            number_then, frame_then, future = waiting.popleft()
            yield number_then, frame_then, future.result()[0]
    for number, frame, future in waiting:
        yield number, frame, future.result()[0]


def _sure_points(points: np.ndarray, names: Sequence[str], camera: Camera) -> dict[str, Anchor]:
    """From (frames, points, 3): each anchor that is sure anywhere, chance left out."""
    anchors = {}
    for column, name in enumerate(names):
        sure = points[points[:, column, 2] >= SURE, column, :2].astype(float)
        if not len(sure):
            continue
        near = np.abs(sure - np.median(sure, axis=0)).max(axis=1) <= _half_window(name, camera)
        kept = sure[near] if near.any() else sure
        x, y = kept.mean(axis=0)
        spread = float(np.hypot(*kept.std(axis=0)))
        anchors[name] = Anchor(float(x), float(y), spread, int(near.sum()), int((~near).sum()))
    return anchors


def _half_window(name: str, camera: Camera) -> float:
    """Half the side of the smallest window that the anchor places."""
    windows = [w for network in camera.networks if (w := NETWORKS[network].window) and name in w.anchors]
    return min((min(window.width, window.height) for window in windows), default=0) / 2


def _is_place(anchor: Anchor, looked: int) -> bool:
    """Whether the sure points of an anchor mean one place in the picture."""
    return anchor.frames >= LEAST_PART * looked and anchor.frames > anchor.left_out


def _seen(anchor: Anchor | None, looked: int) -> str:
    if anchor is None:
        return f"is sure in none of {looked} frames"
    return f"is sure at one place in {anchor.frames} of {looked} frames, elsewhere in {anchor.left_out}"


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
