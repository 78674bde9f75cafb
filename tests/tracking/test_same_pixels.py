"""What reaches each network is what ffmpeg's own filters make of the raw video, pixel by pixel.

From a file on the disk through the whole pass, against filters of PyAV's ffmpeg and of the command where there is one.
Both give RGB, as OpenCV gives it to DeepLabCut; ours is one channel, which the engine makes three.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from iblvideo_admin.rigs import CAMERAS, Camera
from iblvideo_admin.tracking import single_pass
from iblvideo_admin.tracking.pictures import Box, Cutter
from iblvideo_admin.tracking.video import Reader

# odd offsets: there the filter needs its `exact`
SIDE = {"nose_tip": Box(301, 507, 100, 100), "eye": Box(641, 311, 100, 100), "tongue": Box(273, 603, 160, 160)}
WINDOWS = {"left": SIDE, "right": SIDE, "body": {"tail_start": Box(211, 147, 220, 220)}}
LIMITED = {"pix_fmt": "yuv420p", "color_range": 1}
FULL = {"pix_fmt": "yuvj420p", "color_range": 2}
UNTOLD = {"pix_fmt": "yuv420p"}  # what most rigs' files say of their range: nothing, which means limited

Filters = tuple[tuple[str, str], ...]


def filters(camera: Camera, network: str, stored: str, *, even: bool = False, grey: bool = True) -> Filters:
    """The reference's way from a raw frame to a network's picture, in RGB.

    It stores what it scaled as it was ``stored`` before, and converts when it reads: a ``scale`` before ``rgb24``
    would do both in one step, with other numbers.  Where it shrinks, swscale makes 129 of most of an even chroma of
    128, and so a tint of a grey picture: ``grey`` takes it away again.
    """
    width, height = camera.frame_size
    again = ("format", stored)
    whole: Filters = (("hflip", ""), ("scale", f"{width}:{height}:flags=bicubic"), again) if camera.mirrored else ()
    if network == "paws":
        tint = (("lutyuv", "u=128:v=128"),) if grey else ()
        return (*whole, ("scale", "128:102:flags=bicubic"), again, *tint, ("format", "rgb24"))
    box = WINDOWS[camera.name][network]
    crop = ("crop", f"{box.width}:{box.height}:{box.x}:{box.y}:exact={0 if even else 1}")
    levels = (("colorlevels", "rimax=0.25:gimax=0.25:bimax=0.25"),) if network == "eye" else ()
    return (*whole, crop, ("format", "rgb24"), *levels)


def by_library(path: Path, steps: Filters) -> np.ndarray:
    """(frames, height, width, 3) through a graph of the filters that PyAV carries."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        nodes: list[Any] = [graph.add_buffer(template=stream)]
        nodes += [graph.add(name, arguments) for name, arguments in (*steps, ("buffersink", ""))]
        graph.link_nodes(*nodes).configure()
        found = []
        for frame in container.decode(stream):
            graph.vpush(frame)
            found.append(graph.vpull().to_ndarray())
    return np.stack(found)


def by_command(path: Path, steps: Filters, shape: tuple[int, int]) -> np.ndarray:
    """The same by the installed ``ffmpeg``."""
    chain = ",".join(f"{name}={arguments}" if arguments else name for name, arguments in steps)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", chain, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, *shape, 3)


def by_us(path: Path, camera: Camera, engine: Any, **options: Any) -> dict[str, np.ndarray]:
    """What the whole pass gives to an engine: (frames, height, width) per network."""
    reader = Reader(path, camera)
    cutter = Cutter(camera, reader.levels, WINDOWS[camera.name], **options)
    single_pass.run(reader, camera, cutter, engine, dict.fromkeys(camera.networks, 1), lambda _: None)
    return {
        name: np.concatenate([images for network, images in engine.batches if network == name])
        for name in camera.networks
    }


def textures(camera: Camera) -> list[np.ndarray]:
    """Every level, noise, edges and slow ramps: what scaling and conversion treat differently."""
    generator = np.random.default_rng(5)
    noise = generator.integers(0, 256, (camera.height, camera.width)).astype(np.uint8)
    rows, columns = np.indices(noise.shape)
    ramp = ((rows + columns) // 3 % 256).astype(np.uint8)
    edges = np.where((rows // 7 + columns // 5) % 2, 255, 0).astype(np.uint8)
    return [noise, ramp, edges]


def references(path: Path, steps: Filters, ours: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "library", by_library(path, steps)
    if shutil.which("ffmpeg"):
        yield "command", by_command(path, steps, ours.shape[1:])


def stored(path: Path) -> str:
    return Reader(path).info.pixel_format


def compare(path: Path, camera: Camera, engine: Any, *, even: bool = False) -> None:
    found = by_us(path, camera, engine, even_offsets=even)
    for network, ours in found.items():
        for name, expected in references(path, filters(camera, network, stored(path), even=even), ours):
            message = f"{network}, against ffmpeg's {name}"
            np.testing.assert_array_equal(np.repeat(ours[..., None], 3, axis=3), expected, err_msg=message)


def points(network: str, images: np.ndarray) -> np.ndarray:
    return np.zeros((len(images), 1, 3))


@pytest.mark.parametrize("told", [LIMITED, FULL, UNTOLD], ids=["limited", "full", "untold"])
@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_textures(
    tmp_path: Path, video_writer: Callable[..., Path], fake_engine: Callable[..., Any], name: str, told: dict[str, Any]
) -> None:
    camera = CAMERAS[name]
    path = video_writer(tmp_path / "v.mp4", textures(camera), **told)
    compare(path, camera, fake_engine(points))


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_even_offsets_are_those_of_ffmpegs_crop(
    tmp_path: Path, video_writer: Callable[..., Path], fake_engine: Callable[..., Any], name: str
) -> None:
    camera = CAMERAS[name]
    path = video_writer(tmp_path / "v.mp4", textures(camera), **LIMITED)
    compare(path, camera, fake_engine(points), even=True)


@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_frames_of_real_rigs(
    tmp_path: Path,
    video_writer: Callable[..., Path],
    fake_engine: Callable[..., Any],
    rig_frames: Callable[[str], np.ndarray],
    name: str,
    lossy: bool,
) -> None:
    """Also as a rig's own encoder would store them: the chroma of a lossy file must stay grey."""
    camera = CAMERAS[name]
    path = video_writer(tmp_path / "v.mp4", rig_frames(name), options={"crf": "23"} if lossy else None, **UNTOLD)
    compare(path, camera, fake_engine(points))


@pytest.mark.parametrize("name", ["left", "right"])
def test_the_tint_of_the_paws_is_left_out(
    tmp_path: Path, video_writer: Callable[..., Path], fake_engine: Callable[..., Any], name: str
) -> None:
    """The one deviation (docs/tracking.md): of swscale's tint of at most two levels the networks see nothing."""
    camera = CAMERAS[name]
    path = video_writer(tmp_path / "v.mp4", textures(camera), **LIMITED)
    ours = by_us(path, camera, fake_engine(points))["paws"]
    for _, tinted in references(path, filters(camera, "paws", stored(path), grey=False), ours):
        off = tinted.astype(int) - ours[..., None]
        assert 0 < np.abs(off).max() <= 2
