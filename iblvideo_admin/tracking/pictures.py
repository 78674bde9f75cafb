"""From a camera's frame to what each network sees: mirror, scale, window, levels.  Nothing touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation

from iblvideo_admin.rigs import NETWORKS, Camera, Network


@dataclass(frozen=True)
class Box:
    """A window of the networks' frame: upper left corner and size in px."""

    x: int
    y: int
    width: int
    height: int


def networks_frame(luma: np.ndarray, camera: Camera) -> np.ndarray:
    """The camera's frame as the networks know it: the right camera mirrored and scaled up to look like the left.

    ``luma`` is (height, width) uint8; so is the result, in :attr:`Camera.frame_size`.
    """
    if camera.mirrored:
        luma = luma[:, ::-1]
    if camera.upscaled != 1:
        luma = scaled(luma, *camera.frame_size)
    return luma


def scaled(luma: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bicubic scaling as ffmpeg's ``scale`` filter does it."""
    frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(luma), format="gray")
    return frame.reformat(width=width, height=height, interpolation=Interpolation.BICUBIC).to_ndarray()


def levels_for(network: Network, levels: np.ndarray) -> np.ndarray:
    """The camera's table of levels with the network's stretch put after it, (256,) uint8.

    The stretch is that of ffmpeg's ``colorlevels``: whites from round(255 * white) on become 255.
    """
    if network.white == 1.0:
        return levels
    return np.minimum(levels * (255.0 / round(255 * network.white)), 255).astype(np.uint8)


class Cutter:
    """Cuts the pictures of one camera's networks, given their windows."""

    def __init__(self, camera: Camera, levels: np.ndarray, windows: Mapping[str, Box]) -> None:
        self._camera = camera
        self._levels = {name: levels_for(NETWORKS[name], levels) for name in camera.networks}
        self._windows = windows

    def shape(self, name: str) -> tuple[int, int]:
        """Height and width of a network's pictures."""
        network = NETWORKS[name]
        if network.scaled_to is not None:
            return network.scaled_to[1], network.scaled_to[0]
        return self._windows[name].height, self._windows[name].width

    def cut(self, luma: np.ndarray) -> dict[str, np.ndarray]:
        """Every network's picture of one frame, each (height, width) uint8."""
        frame = networks_frame(luma, self._camera)
        return {name: self._levels[name][self._part(frame, name)] for name in self._camera.networks}

    def _part(self, frame: np.ndarray, name: str) -> np.ndarray:
        if (size := NETWORKS[name].scaled_to) is not None:
            return scaled(frame, *size)
        box = self._windows[name]
        return frame[box.y : box.y + box.height, box.x : box.x + box.width]


def to_raw(points: np.ndarray, name: str, camera: Camera, windows: Mapping[str, Box]) -> np.ndarray:
    """From a network's pixels to full-frame pixels of the raw video.

    ``points`` is (..., 3) with x, y, likelihood in the network's own picture; the result has the same shape.
    The right camera maps back as the IBL does, x = 640 - x / 2 and y / 2, which lies 0.75 and 0.25 px beside the
    pixel centres (docs/tracking.md).
    """
    raw = np.array(points, dtype=np.float64)
    network = NETWORKS[name]
    raw[..., :2] *= network.points_factor
    if network.scaled_to is None:
        raw[..., 0] += windows[name].x
        raw[..., 1] += windows[name].y
    raw[..., :2] /= camera.upscaled
    if camera.mirrored:
        raw[..., 0] = camera.width - raw[..., 0]
    return raw


def to_networks(x: float, y: float, camera: Camera) -> tuple[float, float]:
    """From full-frame pixels of the raw video to the networks' frame: the inverse of :func:`to_raw`."""
    return ((camera.width - x) if camera.mirrored else x) * camera.upscaled, y * camera.upscaled
