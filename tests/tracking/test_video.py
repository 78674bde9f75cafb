"""Reading videos: every frame as it was written, any frame by number, and what is no video at all."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.tracking import luma, video
from iblvideo_admin.tracking.video import Reader, limited_to_full

SHAPE = (48, 64)
Writer = Callable[..., Path]
Numbered = Callable[[int, tuple[int, int]], list[np.ndarray]]


def decoded(reader: Reader) -> list[np.ndarray]:
    return [frame.copy() for frame in reader.frames()]


def refused(code: str, path: Path, camera: str = "") -> str:
    with pytest.raises(UserError) as caught:
        Reader(path, CAMERAS.get(camera))
    assert caught.value.code == code
    assert path.name in caught.value.message
    return caught.value.message


FORMATS = {
    "h264 with B-frames": {},
    "h264 full range": {"pix_fmt": "yuvj420p", "color_range": 2},
    "h264 full range by flag": {"color_range": 2},
    "h264 in fragments": {"flags": "frag_keyframe+empty_moov"},
    "grey ffv1 in matroska": {"codec": "ffv1", "pix_fmt": "gray", "container_format": "matroska"},
    "h264 in matroska": {"container_format": "matroska"},
    "ffv1 in avi": {"container_format": "avi", "codec": "ffv1", "pix_fmt": "yuv422p"},
}
FULL_RANGE = ("h264 full range", "h264 full range by flag", "grey ffv1 in matroska")


@pytest.fixture(params=FORMATS, scope="module")
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A video of 40 numbered frames in some format, always called .mp4."""
    path = tmp_path_factory.mktemp("formats") / "video.mp4"
    write = request.getfixturevalue("module_writer")
    write(path, request.getfixturevalue("module_numbered")(40, SHAPE), **FORMATS[request.param])
    return request.param, path


def test_every_frame_as_it_was_written(written: tuple[str, Path], numbered: Numbered) -> None:
    name, path = written
    reader = Reader(path)
    assert (reader.info.width, reader.info.height, reader.info.rate) == (64, 48, 30)
    frames = decoded(reader)
    assert len(frames) == 40
    np.testing.assert_array_equal(np.stack(frames), np.stack(numbered(40, SHAPE)))
    assert (reader.levels == (np.arange(256) if name in FULL_RANGE else limited_to_full())).all()
    reader.require_whole(40)
    assert reader.warnings == []


def test_frames_by_number_are_those_of_a_full_decode(written: tuple[str, Path]) -> None:
    reader = Reader(written[1])
    frames = decoded(reader)
    for numbers in (range(40), (0, 39), (13,), (5, 11, 12, 13, 23, 24, 38)):
        seen = [(number, frame.copy()) for number, frame in reader.frames_at(list(numbers))]
        assert [number for number, _ in seen] == list(numbers)
        for number, frame in seen:
            np.testing.assert_array_equal(frame, frames[number])


def test_the_number_of_frames_expected(written: tuple[str, Path]) -> None:
    name, path = written
    reader = Reader(path)
    assert reader.expected == 40
    assert reader.info.frames == (0 if "matroska" in name or "fragments" in name else 40)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), 150, 60, 7])
def test_other_rates(tmp_path: Path, video_writer: Writer, numbered: Numbered, rate: Fraction) -> None:
    path = video_writer(tmp_path / "v.mp4", numbered(100, SHAPE), rate=rate)
    reader = Reader(path)
    assert reader.info.rate == pytest.approx(float(rate))
    seen = {number: int(frame[0, 0]) for number, frame in reader.frames_at(range(0, 100, 9))}
    assert seen == {number: number for number in range(0, 100, 9)}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_videos(tmp_path: Path, video_writer: Writer, numbered: Numbered, count: int) -> None:
    reader = Reader(video_writer(tmp_path / "v.mp4", numbered(count, SHAPE)))
    assert reader.info.frames == reader.expected == count
    assert len(decoded(reader)) == count
    assert [int(frame[0, 0]) for _, frame in reader.frames_at(range(count))] == list(range(count))


def test_numbers_beyond_the_end_are_left_out(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    reader = Reader(video_writer(tmp_path / "v.mp4", numbered(20, SHAPE)))
    assert [number for number, _ in reader.frames_at([3, 19, 20, 500])] == [3, 19]


def test_one_keyframe_for_all(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    options = {"qp": "0", "preset": "ultrafast", "g": "1000", "sc_threshold": "0"}
    reader = Reader(video_writer(tmp_path / "v.mp4", numbered(90, SHAPE), options=options))
    assert [int(f[0, 0]) for _, f in reader.frames_at([1, 44, 89])] == [1, 44, 89]


def test_an_odd_width(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    """The decoder's lines are longer than the picture's."""
    pictures = numbered(3, (50, 70))
    reader = Reader(video_writer(tmp_path / "v.mp4", pictures))
    np.testing.assert_array_equal(np.stack(decoded(reader)), np.stack(pictures))


def test_limited_to_full_is_swscales() -> None:
    ramp = np.zeros((4, 256, 3), np.uint8)
    table = limited_to_full()
    assert table.shape == (256,) and table[16] == 0 and table[235] == 255
    for level in range(256):
        frame = av.VideoFrame(16, 16, "yuv420p")
        for plane, value in zip(frame.planes, (level, 128, 128), strict=True):
            plane.update(np.full((plane.height, plane.line_size), value, np.uint8).tobytes())
        ramp[0, level] = frame.to_ndarray(format="rgb24")[8, 8]
    np.testing.assert_array_equal(ramp[0, :, 1], table)


# ---------------------------------------------------------------------------------------- what is no video


def test_nothing_there(tmp_path: Path) -> None:
    refused("video.missing", tmp_path / "v.mp4")
    (tmp_path / "file").write_text("x")
    refused("video.missing", tmp_path / "file" / "v.mp4")


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").symlink_to("v.mp4")
    refused("video.missing", tmp_path / "v.mp4")


def test_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").touch()
    refused("video.empty", tmp_path / "v.mp4")


@pytest.mark.parametrize("content", [b"not a video\n" * 100, b"\0" * 5000, b"x", os.urandom(5000)])
def test_other_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    refused("video.corrupt", tmp_path / "v.mp4")


def test_a_folder_and_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    refused("video.corrupt", tmp_path / "folder.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    refused("video.corrupt", tmp_path / "pipe.mp4")  # and does not wait for a writer


def test_a_text_that_names_other_files(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    """For ffmpeg would read the files, or the addresses, that such a list names."""
    video_writer(tmp_path / "other.mp4", numbered(3, SHAPE))
    (tmp_path / "v.mp4").write_text("ffconcat version 1.0\nfile 'other.mp4'\n")
    refused("video.corrupt", tmp_path / "v.mp4")


def test_no_right_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, video_writer: Writer) -> None:
    path = video_writer(tmp_path / "v.mp4", [np.zeros(SHAPE, np.uint8)])
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything: let ffmpeg be refused instead

        def refuse(*_: object, **__: object) -> None:
            raise av.error.PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(av, "open", refuse)
    assert "may not be read" in refused("video.not_readable", path)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_a_folder_that_may_not_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    assert "may not be read" in refused("video.not_readable", tmp_path / "v.mp4")


def test_only_sound(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        for number in range(5):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.sample_rate, frame.pts = 48000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "holds no video" in refused("video.corrupt", path)


def test_a_wrong_size(tmp_path: Path, video_writer: Writer) -> None:
    path = video_writer(tmp_path / "v.mp4", [np.zeros((512, 640), np.uint8)])
    Reader(path, CAMERAS["body"])
    message = refused("video.wrong_size", path, "left")
    assert "640x512" in message and "1280x1024" in message


# ---------------------------------------------------------------------------------------- damaged videos


@pytest.fixture
def bulky() -> Iterator[np.ndarray]:
    """600 small frames of noise: packets of some size."""
    generator = np.random.default_rng(3)
    return iter([generator.integers(0, 255, SHAPE).astype(np.uint8) for _ in range(600)])


def cut(path: Path, part: float) -> None:
    os.truncate(path, int(path.stat().st_size * part))


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


# ------------------------------------------------------------------------------------ what a container says of itself


@pytest.mark.parametrize(
    ("container_format", "flags"),
    [("mp4", ""), ("mp4", "frag_keyframe+empty_moov"), ("matroska", ""), ("avi", "")],
)
def test_a_cut_behind_the_last_picture_is_told(
    tmp_path: Path, video_writer: Writer, numbered: Numbered, container_format: str, flags: str
) -> None:
    """All pictures are there, but who copied the file should know that the copy is not whole."""
    path = video_writer(tmp_path / "v.mp4", numbered(20, SHAPE), container_format=container_format, flags=flags)
    reader = Reader(path)
    assert len(decoded(reader)) == 20
    assert reader.warnings == []
    cut_bytes(path, 1)
    reader = Reader(path)
    assert len(decoded(reader)) == 20
    reader.require_whole(20)
    assert reader.warnings == ["the end of the file is cut off"]


def drifting(count: int) -> Iterator[np.ndarray]:
    """A texture that moves: there is much to refer to."""
    texture = np.kron(np.random.default_rng(5).integers(30, 220, (40, 40)), np.ones((8, 8), int)).astype(np.uint8)
    return (texture[n : n + 96, n : n + 128] for n in range(count))


def cut_bytes(path: Path, count: int) -> None:
    os.truncate(path, path.stat().st_size - count)


def without_packets(source: Path, target: Path, left_out: set[int], container_format: str = "mp4") -> Path:
    """A copy that lacks these packets."""
    with av.open(str(source)) as old, av.open(str(target), "w", format=container_format) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.size):
            if number not in left_out:
                packet.stream = stream
                new.mux(packet)
    return target


@pytest.mark.parametrize("missing", [0, 48, 96])
@pytest.mark.parametrize("container_format", ["mp4", "matroska"])
def test_a_missing_keyframe(tmp_path: Path, video_writer: Writer, container_format: str, missing: int) -> None:
    """What follows it cannot all be decoded. The file is whole, so the rest has its rows."""
    options = {"preset": "veryfast", "crf": "23", "g": "12", "bf": "3"}
    source = video_writer(tmp_path / "source.mp4", drifting(108), options=options)
    path = without_packets(source, tmp_path / "v.mp4", {missing}, container_format)
    with av.open(str(path)) as container:
        hidden = sum(packet.is_discard for packet in container.demux(video=0))
    reader = Reader(path)
    rows = len(decoded(reader))
    assert 95 <= rows < 107 - hidden
    reader.require_whole(rows)
    silent = 107 - hidden - rows
    assert f"packets that gave no picture: {silent}, what they refer to is not there" in reader.warnings


def test_an_avi_that_counts_its_empty_chunks(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    """As ffmpeg copies B-frames into AVI: the header counts every tick of its clock."""
    video_writer(tmp_path / "source.mp4", numbered(40, SHAPE))
    path = without_packets(tmp_path / "source.mp4", tmp_path / "v.mp4", set(), "avi")
    reader = Reader(path)
    listed = reader.info.frames
    assert listed > 40
    assert reader.expected == reader.pictures == len(decoded(reader)) == 40
    reader.require_whole(40)
    assert reader.warnings == [f"the container lists {listed} frames, 40 were decoded"]


def test_two_streams_and_a_cover(tmp_path: Path, video_writer: Writer, numbered: Numbered) -> None:
    video_writer(tmp_path / "source.mp4", numbered(8, SHAPE))
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mjpeg", rate=1), *(container.add_stream("libx264", rate=30) for _ in range(2))]
        streams[0].disposition = av.stream.Disposition.attached_pic
        shapes = (16, 16), SHAPE, SHAPE
        for stream, shape in zip(streams, shapes, strict=True):
            stream.height, stream.width = shape
            stream.pix_fmt = "yuvj420p" if stream is streams[0] else "yuv420p"
        for stream, shape, count in zip(streams, shapes, (1, 8, 5), strict=True):
            for picture in numbered(count, shape):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
            container.mux(stream.encode())
    reader = Reader(path)
    assert (reader.info.height, reader.info.width) == SHAPE
    assert reader.warnings == ["the file holds 2 videos: the first of them is tracked"]
    assert len(decoded(reader)) == reader.pictures == 8
