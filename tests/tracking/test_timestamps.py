"""Any frame by number, exactly, whatever the timestamps say."""

from pathlib import Path
from typing import Any

import av
import pytest
from tracking.decoders import b_frames, noisy, one_thread, plain, restamped, same_as_ffmpeg, same_rows
from tracking.videos import Writer

from iblvideo_admin.tracking.video import Reader


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
