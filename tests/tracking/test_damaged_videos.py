"""Videos that a crash, a full disk or a copy has damaged: found, with a code, before a half is taken for a whole."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from tracking.videos import SHAPE, Numbered, Writer, cut, decoded, refused

from iblvideo_admin.errors import UserError
from iblvideo_admin.tracking import luma, video
from iblvideo_admin.tracking.video import Reader


@pytest.fixture
def bulky() -> Iterator[np.ndarray]:
    """600 small frames of noise: packets of some size."""
    generator = np.random.default_rng(3)
    return iter([generator.integers(0, 255, SHAPE).astype(np.uint8) for _ in range(600)])


def test_damage_that_mjpeg_shows_as_sound(
    tmp_path: Path, video_writer: Writer, bulky: Iterator[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and nothing changes for that: the rows and pixels are those of a plain decode."""
    path = video_writer(tmp_path / "v.avi", islice(bulky, 9), codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    with monkeypatch.context() as patched:
        patched.setattr(video._Forgiving, "_from_the_start", pytest.fail)  # it is decoded once
        sound = Reader(path)
        assert len(list(sound.frames())) == 9 and not sound.warnings
    content = bytearray(path.read_bytes())
    for number in (3, 6):
        place, size = places[number]
        content[place + size // 2 : place + size // 2 + 8] = bytes.fromhex("ff5fff5fff5fff5f")
    path.write_bytes(content)
    with av.open(str(path)) as container:
        plain = [luma.plane(frame).copy() for frame in container.decode(video=0)]
    reader = Reader(path)
    ours = decoded(reader)
    assert len(ours) == 9
    for number, (frame, expected) in enumerate(zip(ours, plain, strict=True)):
        # the rest of a damaged frame is what the decoder's memory held before
        there = slice(16 if number in (3, 6) else None)
        np.testing.assert_array_equal(frame[there], expected[there])
    assert reader.warnings == ["frames decoded from damaged data: 2, the first is frame 3"]


def test_cut_in_half_with_the_index_at_the_end(
    tmp_path: Path, video_writer: Writer, bulky: Iterator[np.ndarray]
) -> None:
    path = video_writer(tmp_path / "v.mp4", bulky)
    cut(path, 0.5)
    refused("video.corrupt", path)


@pytest.mark.parametrize("part", [0.5, 0.9, 0.995])
def test_cut_with_the_index_at_the_front(
    tmp_path: Path, video_writer: Writer, bulky: Iterator[np.ndarray], part: float
) -> None:
    """Even a copy that lacks only its last frames is no whole video, and that is known before a frame is decoded."""
    path = video_writer(tmp_path / "v.mp4", bulky, flags="faststart")
    whole = path.stat().st_size
    cut(path, part)
    message = refused("video.truncated", path)
    assert f"has {path.stat().st_size} bytes" in message and f"up to byte {whole}" in message


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_cut_without_an_index_of_sizes(
    tmp_path: Path, video_writer: Writer, bulky: Iterator[np.ndarray], part: float
) -> None:
    """Matroska tells no count: what is there is tracked, and the missing rest is told by its duration."""
    pictures = list(bulky)
    path = video_writer(tmp_path / "v.mp4", pictures, container_format="matroska")
    cut(path, part)
    reader = Reader(path)
    frames = decoded(reader)
    assert 600 * (part - 0.05) < len(frames) < 600
    np.testing.assert_array_equal(np.stack(frames[:-20]), np.stack(pictures[: len(frames) - 20]))
    reader.require_whole(len(frames))
    assert f"the container's 20.0 s hold about 600 frames, {len(frames)} were decoded" in reader.warnings


def test_a_rest_that_is_cut_off_while_it_is_read(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    """As an AVI whose index was at its end; the header still tells the count."""
    path = video_writer(tmp_path / "v.mp4", numbered(100, SHAPE), container_format="avi", codec="ffv1", pix_fmt="gray")
    cut(path, 0.5)
    reader = Reader(path)
    with pytest.raises(UserError) as caught:
        assert reader.pictures
    assert caught.value.code == "video.truncated" and "of the 100 frames" in caught.value.message
    count = len(decoded(reader))
    with pytest.raises(UserError) as caught:
        reader.require_whole(count)
    assert caught.value.code == "video.truncated" and f"{count} of the 100" in caught.value.message


@pytest.mark.parametrize("hole", [600, 20_000])
def test_a_hole_in_the_middle(tmp_path: Path, video_writer: Writer, bulky: Iterator[np.ndarray], hole: int) -> None:
    """Zeros that a broken transfer left: what lies beyond them is still right, and lost frames are told."""
    pictures = list(bulky)
    path = video_writer(tmp_path / "v.mp4", pictures)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + hole] = bytes(hole)
    path.write_bytes(content)
    reader = Reader(path)
    frames = decoded(reader)
    assert 588 <= len(frames) <= 600
    np.testing.assert_array_equal(np.stack(frames[:250]), np.stack(pictures[:250]))
    np.testing.assert_array_equal(np.stack(frames[-250:]), np.stack(pictures[-250:]))
    reader.require_whole(len(frames))
    where = re.search(r"the first (?:is frame|between frames) (\d+)", reader.warnings[0])
    assert where and 290 <= int(where[1]) <= 310


def test_judging_the_number_of_frames(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    path = video_writer(tmp_path / "v.mp4", numbered(100, SHAPE))
    for count, code in ((0, "video.empty"), (97, "video.truncated")):
        with pytest.raises(UserError) as caught:
            Reader(path).require_whole(count)
        assert caught.value.code == code
    reader = Reader(path)
    reader.require_whole(98)
    assert reader.warnings == ["the container lists 100 frames, 98 were decoded"]
    reader = Reader(path)
    reader.require_whole(100)
    assert reader.warnings == []


def test_a_size_that_changes_in_the_middle(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    small = video_writer(tmp_path / "small.h264", numbered(5, SHAPE), container_format="h264")
    large = video_writer(tmp_path / "large.h264", numbered(5, (96, 128)), container_format="h264")
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    path = tmp_path / "v.mp4"
    with av.open(str(joined)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.pts = packet.dts = number
                packet.time_base, packet.stream = Fraction(1, 30), stream
                target.mux(packet)
    reader = Reader(path)
    with pytest.raises(UserError) as caught:
        decoded(reader)
    assert caught.value.code == "video.corrupt" and "128x96" in caught.value.message


def test_a_missing_duration(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    """As in a recording that was broken off: the container says nothing at all, so its packets are counted."""
    with av.open(str(tmp_path / "v.mp4"), "w", format="matroska", container_options={"live": "1"}) as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for number, picture in enumerate(numbered(25, SHAPE)):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert Reader(tmp_path / "v.mp4").expected == 25


def test_the_limit_is_what_the_message_says() -> None:
    assert video.WHOLE == 0.98
