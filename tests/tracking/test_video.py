"""Reading videos: every frame as it was written, any frame by number, and what is no video at all."""

import os
import stat
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tracking.videos import SHAPE, Numbered, Writer, decoded, refused

from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.tracking.video import Reader, limited_to_full

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
