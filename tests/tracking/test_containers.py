"""What a container says of itself and is not so: missing pictures, ends that are cut off, other streams."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from tracking.videos import SHAPE, Numbered, Writer, cut_bytes, decoded

from iblvideo_admin.tracking.video import Reader


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
