"""Frames by number cost no more decoding than they need, and a seek that leads astray is noticed."""

import contextlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tracking.decoders import b_frames, noisy, same_rows
from tracking.videos import Writer

from iblvideo_admin.tracking import luma, seeking
from iblvideo_admin.tracking.video import Reader


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
