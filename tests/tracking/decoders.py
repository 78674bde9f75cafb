"""Two other ways to decode, which the reader has to agree with; and videos that make it hard."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tracking.videos import SHAPE, Writer

from iblvideo_admin.tracking import luma
from iblvideo_admin.tracking.video import Reader

FFMPEG = shutil.which("ffmpeg")


def one_thread(path: Path) -> np.ndarray:
    """The first plane of every frame as a single-threaded decode gives them, (frames, height, width) uint8."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        return np.stack([luma.plane(frame).copy() for frame in container.decode(stream)])


def ffmpeg_rows(path: Path, pixel_format: str) -> np.ndarray:
    """The first plane of every frame as the ffmpeg command writes them, not turned and not re-timed."""
    if FFMPEG is None:
        pytest.skip("there is no ffmpeg command")
    command = [FFMPEG, "-nostdin", "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0"]
    command += ["-fps_mode", "passthrough", "-pix_fmt", pixel_format, "-f", "rawvideo", "-"]
    content = subprocess.run(command, capture_output=True, check=True).stdout
    info = Reader(path).info
    frames = one_thread(path).shape[0]
    rows = np.frombuffer(content, np.uint8).reshape(frames, -1)
    return rows[:, : info.height * info.width].reshape(frames, info.height, info.width)


def same_rows(path: Path, count: int) -> Reader:
    """The reader's frames are both oracles' and its frames by number are its own; the reader after that."""
    reader = Reader(path)
    rows = np.stack([frame.copy() for frame in reader.frames()])
    assert len(rows) == count
    np.testing.assert_array_equal(rows, one_thread(path))
    for numbers in (range(count), range(0, count, 7), (count - 1,), (count // 2,), (0, count - 1)):
        seen = {number: frame.copy() for number, frame in reader.frames_at(numbers)}
        assert list(seen) == sorted(set(numbers))
        for number, frame in seen.items():
            np.testing.assert_array_equal(frame, rows[number], err_msg=f"frame {number}")
    return reader


def same_as_ffmpeg(path: Path, within: int = 0) -> None:
    reader = Reader(path)
    rows = np.stack([frame.copy() for frame in reader.frames()])
    theirs = ffmpeg_rows(path, luma.eight_bit(reader.info.pixel_format))
    assert np.abs(rows.astype(int) - theirs).max() <= within


def noisy(count: int, shape: tuple[int, int] = SHAPE, seed: int = 2) -> Iterator[np.ndarray]:
    """A moving texture under noise, so that every kind of frame differs and refers to others."""
    generator = np.random.default_rng(seed)
    texture = generator.integers(20, 230, (shape[0] + count, shape[1] + count))
    for number in range(count):
        part = texture[number : number + shape[0], number // 2 : number // 2 + shape[1]]
        yield np.clip(part + generator.normal(0, 5, shape), 0, 255).astype(np.uint8)


def restamped(source: Path, target: Path, stamps: Callable[[int, int, int], tuple[int, int]], **options: Any) -> Path:
    """A copy of a video's packets with other timestamps: ``stamps(number, pts, dts)`` in ticks of 1/1000 s."""
    with av.open(str(source)) as old, av.open(str(target), "w", **options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.size):
            assert packet.pts is not None and packet.dts is not None
            scale = packet.time_base * 1000
            packet.pts, packet.dts = stamps(number, round(packet.pts * scale), round(packet.dts * scale))
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            new.mux(packet)
    return target


def b_frames(path: Path, video_writer: Writer, count: int = 60) -> Path:
    return video_writer(path, noisy(count), options={"crf": "25", "g": "20", "bf": "3", "b-adapt": "0"})


def plain(path: Path, video_writer: Writer, count: int = 60) -> Path:
    return video_writer(path, noisy(count), options={"crf": "25", "g": "20", "bf": "0"})
