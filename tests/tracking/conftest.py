"""What the tests of tracking need: small videos, sessions around them, an engine without networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table

# x264 without loss, several groups of pictures, B-frames: what was written is what must be read
LOSSLESS = {"qp": "0", "preset": "ultrafast", "g": "12", "bf": "2", "b-adapt": "0"}

VideoWriter = Callable[..., Path]


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 30,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    flags: str = "",
    color_range: int = 0,
) -> Path:
    """A video of luma pictures, (height, width) uint8, as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    muxer = {"movflags": flags} if flags else {}
    with av.open(str(path), "w", format=container_format, container_options=muxer) as container:
        stream: Any = None
        for number, picture in enumerate(pictures):
            height, width = picture.shape
            if stream is None:
                chosen = LOSSLESS if codec == "libx264" and options is None else (options or {})
                stream = container.add_stream(codec, rate=rate, options=chosen)
                stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
                if color_range:
                    stream.codec_context.color_range = color_range
            frame = av.VideoFrame(width, height, pix_fmt)
            for index, plane in enumerate(frame.planes):
                lines = np.full((plane.height, plane.line_size), 128, np.uint8)
                if index == 0:
                    lines[:, :width] = picture
                plane.update(lines.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, rate)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture
def video_writer() -> VideoWriter:
    """Writes a video of given pictures."""
    return write_video


def numbered_picture(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Every frame another, and its number in the first two pixels: the low byte, then the high one."""
    rows, columns = np.indices(shape, dtype=np.int64)
    picture = ((rows // 4 + columns // 8 + 7 * number) % 256).astype(np.uint8)
    picture[0, :2] = number % 256, number // 256
    return picture


@pytest.fixture
def numbered() -> Callable[[int, tuple[int, int]], list[np.ndarray]]:
    """``numbered(count, shape)``: pictures that tell their number."""
    return lambda count, shape: [numbered_picture(number, shape) for number in range(count)]


class FakeEngine:
    """An engine whose points are what ``points(network, images)`` says; (N, points, 3)."""

    name = "fake"

    def __init__(self, points: Callable[[str, np.ndarray], np.ndarray]) -> None:
        self.points = points
        self.batches: list[tuple[str, np.ndarray]] = []
        self.loaded: list[NetworkFiles] = []
        self.warnings: list[str] = []

    def load(self, networks: list[NetworkFiles]) -> dict[str, str]:
        self.loaded = networks
        return {"fake_software": "1.0"}

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        self.batches.append((network, images))
        future: Future[np.ndarray] = Future()
        future.set_result(np.asarray(self.points(network, images), np.float32))
        return future

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.fixture
def fake_engine() -> Callable[..., FakeEngine]:
    """``fake_engine(points)`` makes an engine of a function (network, images) -> (N, points, 3)."""
    return FakeEngine


@pytest.fixture
def session_video(tmp_path: Path) -> Callable[..., Video]:
    """``session_video(camera, pictures)`` makes a session with that video and returns it."""

    def make(camera: str, pictures: Iterable[np.ndarray] = (), **options: Any) -> Video:
        video = Video(tmp_path / "Subjects" / "a mouse" / "2024-01-31" / "001", CAMERAS[camera])
        video.path.parent.mkdir(parents=True, exist_ok=True)
        if pictures:
            write_video(video.path, pictures, **options)
        return video

    return make


@pytest.fixture
def weights_dir(tmp_path: Path) -> Path:
    """A weights folder in the IBL's layout whose snapshots are a few bytes."""
    root = tmp_path / "networks_v2.1"
    for network in NETWORKS.values():
        folder = root / network.folder.replace("*", "Anna-2020-01-01")
        model = folder / "dlc-models/iteration-0/taskJan1-trainset95shuffle1"
        config = {"Task": "task", "date": "Jan1", "TrainingFraction": [0.95], "iteration": 0, "snapshotindex": -1}
        (model / "test").mkdir(parents=True)
        (model / "train").mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump({**config, "batch_size": 4}))
        pose = {"all_joints_names": list(network.points), "net_type": "resnet_50"}
        (model / "test/pose_cfg.yaml").write_text(yaml.safe_dump(pose))
        for ending in ("index", "data-00000-of-00001"):
            (model / f"train/snapshot-500.{ending}").write_bytes(f"{network.name} {ending}".encode())
    return root


@pytest.fixture(scope="session")
def rig_frames() -> Callable[[str], np.ndarray]:
    """Real frames of a camera, (frames, height, width) uint8; skips where they are not beside the checkout."""

    def load(camera: str) -> np.ndarray:
        path = Path(__file__).parents[3] / "shared/data/rig_frames" / f"{camera}.npy"
        if not path.is_file():
            pytest.skip(f"there are no real frames of the {camera} camera beside this checkout")
        frames: np.ndarray = np.load(path)
        return frames

    return load


@pytest.fixture(scope="module")
def module_writer() -> VideoWriter:
    """The same as ``video_writer``, for videos that many tests read."""
    return write_video


@pytest.fixture(scope="module")
def module_numbered() -> Callable[[int, tuple[int, int]], list[np.ndarray]]:
    """The same as ``numbered``, for videos that many tests read."""
    return lambda count, shape: [numbered_picture(number, shape) for number in range(count)]


@pytest.fixture(scope="session")
def fake_engine_class() -> type[FakeEngine]:
    """The same as ``fake_engine``, for tests that hypothesis calls many times."""
    return FakeEngine


@pytest.fixture
def video(session_video: Callable[..., Video]) -> Video:
    """Of the left camera, ready to get a table."""
    video = session_video("left")
    table.prepare(video)
    return video
