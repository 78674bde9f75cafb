"""How video becomes the networks' input: decode to full range grey, mirror, upscale, shrink, stretch the levels.

Training data and judging both go through this file, so that networks see while they learn what they will see at
work.  Written for the demo's training only.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from iblvideo_admin.rigs import Camera, Network

Grey = npt.NDArray[np.uint8]


def through_video(frames: Sequence[Grey], crf: int, preset: str) -> list[Grey]:
    """Limited range luma (h, w), even sides, compressed with x264 and decoded again: full range grey."""
    store = io.BytesIO()
    height, width = frames[0].shape
    with av.open(store, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=60, options={"crf": str(crf), "preset": preset})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        colour = np.full((height // 2, width), 128, np.uint8)
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.concatenate([frame, colour]), format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    store.seek(0)
    return list(decoded(store))


def decoded(source: Path | io.BytesIO) -> Iterator[Grey]:
    """A video's frames as full range grey (h, w)."""
    with av.open(str(source) if isinstance(source, Path) else source) as container:
        container.streams.video[0].thread_count = 1
        for frame in container.decode(video=0):
            yield frame.reformat(format="gray").to_ndarray()


def resized(grey: Grey, width: int, height: int) -> Grey:
    """Bicubic scaling as ffmpeg does it."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(grey), format="gray")
    return frame.reformat(width=width, height=height, interpolation=Interpolation.BICUBIC).to_ndarray()


def to_network_frame(grey: Grey, camera: Camera) -> Grey:
    """A raw frame as the networks' frame: mirrored and upscaled where the camera asks for it."""
    if camera.mirrored:
        grey = grey[:, ::-1]
    if camera.upscaled > 1:
        grey = resized(grey, grey.shape[1] * camera.upscaled, grey.shape[0] * camera.upscaled)
    return grey


def stretched(grey: Grey, network: Network) -> Grey:
    """Levels stretched as the network asks for."""
    if network.white == 1:
        return grey
    table = np.minimum(255, np.arange(256) / network.white).astype(np.uint8)
    return table[grey]


def window_at(anchors: npt.NDArray[np.float64], network: Network) -> tuple[int, int]:
    """Upper left corner of a network's window from its anchors' mean places (n, 2) in the networks' frame."""
    assert network.window is not None
    x, y = anchors.mean(axis=0)
    return int(x) + network.window.dx, int(y) + network.window.dy


def batches(frames: Iterable[Grey], size: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Consecutive frames in batches (size, h, w); the last one is filled up with its last frame."""
    held: list[Grey] = []
    for frame in frames:
        held.append(frame)
        if len(held) == size:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held + [held[-1]] * (size - len(held)))
