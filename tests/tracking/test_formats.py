"""Unusual videos: as many rows, of the same pixels, as a full decode by one thread and by the ffmpeg command yields.

And any frame by number, exactly, whatever the timestamps, the groups of pictures and the container.
"""

import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking.decoders import b_frames, ffmpeg_rows, noisy, one_thread, same_as_ffmpeg, same_rows
from tracking.videos import Writer

from iblvideo_admin.tracking.video import Reader

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
