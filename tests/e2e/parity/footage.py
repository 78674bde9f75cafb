"""Lossless videos: a camera's, and what ffmpeg's own filters make of it for each network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import av
import numpy as np

from iblvideo_admin.demo.scenes import View
from iblvideo_admin.rigs import NETWORKS, Camera
from iblvideo_admin.tracking.pictures import Box

RATE = 10  # slow enough for the mouse to move between two frames


def film(path: Path, camera: Camera, frames: int) -> None:
    """A drawn session as lossless limited-range luma, as the rigs' videos have it."""
    view = View(camera, seed=11)
    motion = view.motion(np.arange(frames) / RATE)
    luma = np.stack([view.frame(motion, index) for index in range(frames)])
    grey = np.full((frames, camera.height // 2, camera.width), 128, np.uint8)
    write(path, np.concatenate([luma, grey], axis=1), "yuv420p", "yuv420p")


def write(path: Path, pictures: np.ndarray, given: str, stored: str) -> None:
    """FFV1, which loses nothing; AVI, because DeepLabCut believes the container's count of frames."""
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        frames = [av.VideoFrame.from_ndarray(picture, format=given) for picture in pictures]
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, stored
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


Filters = list[tuple[str, str]]


def shaping(name: str, camera: Camera, windows: Mapping[str, Box]) -> Filters:
    """The ffmpeg filters from the camera's frame to the luma of what a network sees.

    Luma alone: in chroma that is 128 everywhere, ``scale`` makes some 127.
    """
    network, chain = NETWORKS[name], [("extractplanes", "y")]
    if camera.mirrored:
        chain.append(("hflip", ""))
    if camera.upscaled != 1:
        chain.append(("scale", "{}:{}:flags=bicubic".format(*camera.frame_size)))
    if network.scaled_to is not None:
        chain.append(("scale", "{}:{}:flags=bicubic".format(*network.scaled_to)))
    elif name in windows:
        box = windows[name]
        chain.append(("crop", f"{box.width}:{box.height}:{box.x}:{box.y}"))
    return [*chain, ("format", "gray")]


def colouring(name: str) -> Filters:
    """The ffmpeg filters from there to RGB."""
    white = NETWORKS[name].white
    levels = ":".join(f"{channel}imax={white}" for channel in "rgb")
    return [("format", "rgb24"), *([("colorlevels", levels)] if white != 1.0 else []), ("format", "rgb24")]


def filtered(frames: Iterable[av.VideoFrame], chain: Filters) -> list[np.ndarray]:
    """Frames through a graph of ffmpeg's filters."""
    graph, pictures = av.filter.Graph(), []
    sink = None
    for frame in frames:
        if sink is None:
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=1)
            sink = graph.add("buffersink")
            graph.link_nodes(source, *(graph.add(*step) for step in chain), sink).configure()
        graph.vpush(frame)
        pictures.append(graph.vpull().to_ndarray())
    return pictures


def cut(source: Path, target: Path, name: str, camera: Camera, windows: Mapping[str, Box]) -> np.ndarray:
    """Write what a network is to see as a lossless video; returns its grey levels, (frames, height, width)."""
    with av.open(str(source)) as container:
        luma = np.stack(filtered(container.decode(video=0), shaping(name, camera, windows)))
    whole = np.concatenate([luma, np.full_like(luma[:, ::2], 128)], axis=1)
    frames = (av.VideoFrame.from_ndarray(picture, format="yuv420p") for picture in whole)
    pictures = np.stack(filtered(frames, colouring(name)))
    write(target, pictures, "rgb24", "bgr0")
    assert (pictures == pictures[..., :1]).all()
    return pictures[..., 0]
