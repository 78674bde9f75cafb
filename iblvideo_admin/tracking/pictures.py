"""From a camera's frame to what each network sees: mirror, scale, window, levels.  Nothing touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from iblvideo_admin.rigs import NETWORKS, Camera, Network


@dataclass(frozen=True)
class Box:
    """A window of the networks' frame: upper left corner and size in px."""

    x: int
    y: int
    width: int
    height: int


class Scaler:
    """Bicubic scaling to one size, (height, width) uint8 to the same, bit for bit as ffmpeg's ``scale`` filter.

    One object for many frames: building swscale's tables takes longer than scaling a frame with them.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._swscale = VideoReformatter()

    def __call__(self, luma: np.ndarray) -> np.ndarray:
        """One frame, scaled."""
        frame = av.VideoFrame.from_numpy_buffer(luma, format="gray")
        # one thread: more of them spend more CPU time, and the decoder has use for the other cores
        scaled = self._swscale.reformat(
            frame, width=self._width, height=self._height, interpolation=Interpolation.BICUBIC, threads=1
        )
        return scaled.to_ndarray()


class NetworksFrame:
    """Makes the frame that a camera's networks know: the right camera mirrored and scaled up to look like the left.

    From (height, width) uint8 luma to the same in :attr:`Camera.frame_size`.
    """

    def __init__(self, camera: Camera) -> None:
        self._mirrored = camera.mirrored
        self._scale = Scaler(*camera.frame_size) if camera.upscaled != 1 else None

    def __call__(self, luma: np.ndarray) -> np.ndarray:
        """One frame; what was given itself where nothing changes."""
        if self._mirrored:
            luma = mirrored(luma)
        return luma if self._scale is None else self._scale(luma)


def networks_frame(luma: np.ndarray, camera: Camera) -> np.ndarray:
    """:class:`NetworksFrame` for a single frame."""
    return NetworksFrame(camera)(luma)


def mirrored(luma: np.ndarray) -> np.ndarray:
    """A copy of (height, width) uint8 with left and right exchanged; the width is a multiple of 8.

    Eight pixels at once, as one number whose bytes are read in the other order: a seventh of the time that
    reversing single bytes takes.
    """
    return luma.view(">u8")[:, ::-1].astype("<u8", order="C").view(np.uint8)


def levels_for(network: Network, levels: np.ndarray) -> np.ndarray:
    """The camera's table of levels with the network's stretch put after it, (256,) uint8.

    The stretch is that of ffmpeg's ``colorlevels``: whites from round(255 * white) on become 255.
    """
    if network.white == 1.0:
        return levels
    return np.minimum(levels * (255.0 / round(255 * network.white)), 255).astype(np.uint8)


class Cutter:
    """Cuts the pictures of one camera's networks, given their windows.

    ``even_offsets`` cuts where ffmpeg's ``crop`` does on yuv420p, at offsets rounded down to even.  Points found
    in such pictures lie up to 1 px beside what :func:`to_raw` makes of them: the IBL's pipeline has this bias.
    """

    def __init__(
        self, camera: Camera, levels: np.ndarray, windows: Mapping[str, Box], *, even_offsets: bool = False
    ) -> None:
        self._networks_frame = NetworksFrame(camera)
        self._boxes: dict[str, Box] = {}
        self._scalers: dict[str, Scaler] = {}
        self._shapes: dict[str, tuple[int, int]] = {}
        self._levels: dict[str, bytes] = {}
        for name in camera.networks:
            network = NETWORKS[name]
            self._levels[name] = levels_for(network, levels).tobytes()
            if network.scaled_to is not None:
                width, height = network.scaled_to
                self._scalers[name] = Scaler(width, height)
            else:
                box = windows[name]
                width, height = box.width, box.height
                self._boxes[name] = replace(box, x=box.x // 2 * 2, y=box.y // 2 * 2) if even_offsets else box
            self._shapes[name] = height, width

    def shape(self, name: str) -> tuple[int, int]:
        """Height and width of a network's pictures."""
        return self._shapes[name]

    def cut(self, luma: np.ndarray, places: Mapping[str, np.ndarray]) -> None:
        """Write every network's picture of one frame to its place, (height, width) uint8, still as luma."""
        frame = self._networks_frame(luma)
        for name, scale in self._scalers.items():
            places[name][...] = scale(frame)
        for name, box in self._boxes.items():
            places[name][...] = frame[box.y : box.y + box.height, box.x : box.x + box.width]

    def levelled(self, name: str, pictures: bytearray) -> bytearray:
        """A copy of a network's pictures in the levels that it was trained on.

        Apart from cutting, since ``translate`` does a whole batch in half the time that numpy takes for its parts.
        """
        return pictures.translate(self._levels[name])


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
