"""Unusual videos: as many rows, of the same pixels, as a full decode by one thread and by the ffmpeg command yields.

And any frame by number, exactly, whatever the timestamps, the groups of pictures and the container.
"""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblvideo_admin.tracking import luma, seeking
from iblvideo_admin.tracking.video import Reader

SHAPE = (48, 64)
Writer = Callable[..., Path]
Numbered = Callable[[int, tuple[int, int]], list[np.ndarray]]
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


# ------------------------------------------------------------------------------------ groups of pictures

X264 = {
    "x264's default": {},
    "B-frames that others refer to": {"x264-params": "bframes=8:b-pyramid=normal:b-adapt=0:keyint=40"},
    "open groups": {"x264-params": "open-gop=1:keyint=20:bframes=3:b-adapt=0"},
    "refreshed bit by bit": {"x264-params": "intra-refresh=1:keyint=20"},
    "no B-frames": {"bf": "0", "g": "30"},
    "one group": {"g": "1000", "sc_threshold": "0"},
    "only keyframes": {"g": "1"},
    "interlaced": {"x264-params": "interlaced=1:keyint=30"},
    "no last keyframe": {"g": "70", "bf": "3", "b-adapt": "0"},
}


@pytest.mark.parametrize("container_format", ["mp4", "matroska", "avi"])
@pytest.mark.parametrize("how", X264)
def test_groups_of_pictures(tmp_path: Path, video_writer: Writer, how: str, container_format: str) -> None:
    path = tmp_path / "v.mp4"
    options = {"preset": "medium", "crf": "25", **X264[how]}
    video_writer(path, noisy(100), options=options, container_format=container_format)
    reader = same_rows(path, 100)
    assert reader.index.pictures == 100
    assert reader.warnings == []


@pytest.mark.parametrize(("codec", "pix_fmt"), [("mpeg4", "yuv420p"), ("mjpeg", "yuvj420p"), ("ffv1", "gray")])
def test_other_codecs(tmp_path: Path, video_writer: Writer, codec: str, pix_fmt: str) -> None:
    options = {"bf": "2", "g": "15"} if codec == "mpeg4" else {}
    path = video_writer(tmp_path / "v.mkv", noisy(60), codec=codec, pix_fmt=pix_fmt, options=options)
    same_rows(path, 60)
    same_as_ffmpeg(path)


def test_packets_that_are_no_pictures(tmp_path: Path, video_writer: Writer) -> None:
    """VP8's hidden reference frames are packets of their own."""
    path = tmp_path / "v.mkv"
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k", "g": "30"}
    try:
        video_writer(path, noisy(60), codec="libvpx", options=options)
    except (av.error.FFmpegError, ValueError):
        pytest.skip("this PyAV has no VP8 encoder")
    same_rows(path, 60)


# ------------------------------------------------------------------------------------ timestamps


def b_frames(path: Path, video_writer: Writer, count: int = 60) -> Path:
    return video_writer(path, noisy(count), options={"crf": "25", "g": "20", "bf": "3", "b-adapt": "0"})


def plain(path: Path, video_writer: Writer, count: int = 60) -> Path:
    return video_writer(path, noisy(count), options={"crf": "25", "g": "20", "bf": "0"})


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("source", [plain, b_frames])
def test_a_rate_that_varies(tmp_path: Path, video_writer: Writer, source: Any, ending: str) -> None:
    """Twice as slow after a second."""
    old = source(tmp_path / "old.mp4", video_writer)

    def slower(_: int, pts: int, dts: int) -> tuple[int, int]:
        return tuple(time if time < 1000 else 2 * time - 1000 for time in (pts, dts))  # type: ignore[return-value]

    path = restamped(old, tmp_path / f"v.{ending}", slower)
    same_rows(path, 60)
    same_as_ffmpeg(path)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("source", [plain, b_frames])
def test_repeated_timestamps(tmp_path: Path, video_writer: Writer, source: Any, ending: str) -> None:
    """Two frames at a time: no timestamp names a frame."""
    old = source(tmp_path / "old.mp4", video_writer)
    path = restamped(old, tmp_path / f"v.{ending}", lambda _, pts, dts: (pts // 67 * 67 + 67, dts))
    assert len({packet.pts for packet in av.open(str(path)).demux(video=0)}) < 50
    same_rows(path, 60)
    same_as_ffmpeg(path)


def test_timestamps_that_hide_the_b_frames(tmp_path: Path, video_writer: Writer) -> None:
    """As programs write them that know only the order of decoding."""
    old = b_frames(tmp_path / "old.mp4", video_writer)
    path = restamped(old, tmp_path / "v.mkv", lambda number, pts, dts: (33 * number, 33 * number))
    reader = same_rows(path, 60)
    assert reader.index.rank is None
    same_as_ffmpeg(path)


def test_negative_timestamps_and_what_an_edit_list_hides(tmp_path: Path, video_writer: Writer) -> None:
    """Cut without encoding: the file holds the whole group, and an edit list tells where to begin."""
    old = b_frames(tmp_path / "old.mp4", video_writer)
    path = restamped(old, tmp_path / "v.mp4", lambda number, pts, dts: (pts - 1000, dts - 1000))
    assert 0 < Reader(path).index.outside < 30  # and whole groups before are not even read
    reader = same_rows(path, 30)
    reader.require_whole(30)
    assert reader.pictures == 30
    assert reader.warnings == [
        "frames outside the file's edit list, without a row: 30",
        "the container lists 60 frames, 30 were decoded",
    ]
    same_as_ffmpeg(path)


def test_a_beginning_that_refers_to_what_was_cut_off(tmp_path: Path, video_writer: Writer) -> None:
    """The decoder does not show the first pictures of an open group, so they are no rows."""
    options = {"crf": "25", "x264-params": "open-gop=1:keyint=20:bframes=3:b-adapt=0:scenecut=0"}
    old = video_writer(tmp_path / "old.mp4", noisy(80), options=options)
    path = tmp_path / "v.mkv"
    with av.open(str(old)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        keys = 0
        for packet in source.demux(video=0):
            keys += packet.is_keyframe
            if packet.size and keys > 1:
                packet.stream = stream
                target.mux(packet)
    count = len(one_thread(path))
    assert count < Reader(path).index.pictures
    same_rows(path, count)
    same_as_ffmpeg(path)


# ------------------------------------------------------------------------------------ pixels


@pytest.mark.parametrize(
    ("pix_fmt", "color_range"),
    [
        ("yuv420p10le", 0),
        ("yuv422p10le", 1),
        ("yuv444p12le", 0),
        ("gray10le", 0),
        ("gray12le", 0),
        ("gray16le", 2),
        ("gray", 0),
        ("yuv422p", 0),
        ("bgr0", 0),
    ],
)
def test_more_bits_and_other_formats(tmp_path: Path, pix_fmt: str, color_range: int) -> None:
    """Converted as the ffmpeg command converts them."""
    path = tmp_path / "v.mkv"
    generator = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.codec_context.color_range = color_range
        for number in range(5):
            frame = av.VideoFrame(64, 48, pix_fmt)
            bits = frame.format.components[0].bits
            for plane in frame.planes:
                kind = np.dtype("<u2") if bits > 8 else np.dtype(np.uint8)
                values = generator.integers(0, 1 << bits, plane.buffer_size // kind.itemsize).astype(kind)
                plane.update(values.tobytes())
            frame.pts, frame.time_base, frame.color_range = number, Fraction(1, 30), color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = same_rows(path, 5)
    same_as_ffmpeg(path, within=1 if pix_fmt == "bgr0" else 0)  # ffmpeg's versions round colours differently
    full = pix_fmt.startswith(("gray", "bgr"))
    assert (reader.levels == np.arange(256)).all() == full


def test_ten_bits_of_full_range_keep_it(tmp_path: Path, video_writer: Writer) -> None:
    """As ffmpeg's own grey, where its yuv420p would press them into the limited range."""
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_range = 2
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane in frame.planes:
            plane.update((np.arange(plane.buffer_size // 2) % 1024).astype("<u2").tobytes())
        frame.pts, frame.time_base, frame.color_range = 0, Fraction(1, 30), 2
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = same_rows(path, 1)
    np.testing.assert_array_equal(reader.levels, np.arange(256))
    rows = np.stack([frame.copy() for frame in reader.frames()])
    np.testing.assert_array_equal(rows, ffmpeg_rows(path, "gray"))


def test_a_picture_that_players_turn(tmp_path: Path, video_writer: Writer) -> None:
    """The networks know the raw picture: it is not turned, and that is said."""
    source = b_frames(tmp_path / "old.mp4", video_writer, 20)
    path = tmp_path / "v.mp4"
    content = bytearray(source.read_bytes())
    header = content.index(b"tkhd")
    matrix = header + 4 + 40  # version and flags, times, track, duration, layer, group, volume
    assert content[matrix : matrix + 4] == b"\0\1\0\0"
    content[matrix : matrix + 36] = b"".join(
        value.to_bytes(4, "big", signed=True) for value in (0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    )
    path.write_bytes(content)
    reader = same_rows(path, 20)
    np.testing.assert_array_equal(one_thread(path), one_thread(source))
    same_as_ffmpeg(path)
    assert len(reader.warnings) == 1 and "asks players to turn the picture by" in reader.warnings[0]


# ------------------------------------------------------------------------------------ properties


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 70),
    width=st.integers(16, 90).map(lambda half: 2 * half),
    height=st.integers(16, 60).map(lambda half: 2 * half),
    distance=st.sampled_from([1, 2, 5, 12, 250]),
    between=st.integers(0, 8),
    pyramid=st.booleans(),
    open_groups=st.booleans(),
    container_format=st.sampled_from(["mp4", "matroska", "avi"]),
    data=st.data(),
)
def test_any_size_any_groups(
    module_writer: Writer,
    count: int,
    width: int,
    height: int,
    distance: int,
    between: int,
    pyramid: bool,
    open_groups: bool,
    container_format: str,
    data: st.DataObject,
) -> None:
    numbers = sorted(data.draw(st.sets(st.integers(0, count + 3), max_size=8)))
    parameters = f"bframes={between}:keyint={distance}:b-adapt=0:b-pyramid={2 * pyramid}:open-gop={int(open_groups)}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.mp4"
        options = {"preset": "veryfast", "crf": "30", "x264-params": parameters}
        module_writer(path, noisy(count, (height, width)), options=options, container_format=container_format)
        reader = Reader(path)
        rows = [frame.copy() for frame in reader.frames()]
        assert len(rows) == count == reader.index.pictures and reader.warnings == []
        np.testing.assert_array_equal(np.stack(rows), one_thread(path))
        seen = {number: frame.copy() for number, frame in reader.frames_at(numbers)}
        assert list(seen) == [number for number in numbers if number < count]
        for number, frame in seen.items():
            np.testing.assert_array_equal(frame, rows[number])


# ------------------------------------------------------------------------------------ what seeking decodes


def test_only_what_is_needed_is_decoded(tmp_path: Path, video_writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the keyframe before the wanted frame to its own packet, others' B-frames skipped."""
    options = {"crf": "25", "x264-params": "bframes=3:b-adapt=0:b-pyramid=none:keyint=20:scenecut=0"}
    path = video_writer(tmp_path / "v.mp4", noisy(100), options=options)
    given_to_decoder: list[bool] = []
    shown: list[int] = []
    real = seeking._Source._decoded

    def watched(self: Any, packet: Any) -> Any:
        given_to_decoder.append(packet is not None)
        frames = real(self, packet)
        shown.extend(frame.pts for frame in frames)
        return frames

    monkeypatch.setattr(seeking._Source, "_decoded", watched)
    assert [number for number, _ in Reader(path).frames_at([52])] == [52]
    assert sum(given_to_decoder) <= 13
    assert len(shown) <= 5  # the keyframe, three P-frames and the wanted one


def test_where_the_container_seeks_to_nonsense(
    tmp_path: Path, video_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the packets are read from the first on: the numbers stay right."""
    path = b_frames(tmp_path / "v.mp4", video_writer)
    monkeypatch.setattr(seeking._Source, "_landed", lambda self, key, first: (-1, iter(())))
    same_rows(path, 60)


def test_an_error_among_the_last_packets_hides_no_frames(tmp_path: Path, video_writer: Writer) -> None:
    """Threads still hold frames then, which PyAV gives up: what one thread yields counts."""
    path = b_frames(tmp_path / "v.mp4", video_writer)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for place, size in packets[-2:]:
        assert place is not None
        content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    rows = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            with contextlib.suppress(av.error.InvalidDataError):
                rows += [luma.plane(frame).copy() for frame in packet.decode()]
    reader = Reader(path)
    np.testing.assert_array_equal(np.stack([frame.copy() for frame in reader.frames()]), np.stack(rows))
    assert reader.warnings and "the first between frames 5" in reader.warnings[0]


def test_a_damaged_frame_is_left_out_of_the_sample(tmp_path: Path, video_writer: Writer) -> None:
    path = b_frames(tmp_path / "v.mp4", video_writer)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]
    place, size, _ = next(packet for packet in packets[20:] if packet[2])
    content = bytearray(path.read_bytes())
    content[place + 40 : place + size] = bytes(size - 40)
    path.write_bytes(content)
    reader = Reader(path)
    seen = [number for number, _ in reader.frames_at(range(60))]
    assert seen[:20] == list(range(20)) and seen[-20:] == list(range(40, 60))
    assert len(seen) < 60
