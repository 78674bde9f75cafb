"""How long a file says it is: cut at any place, and with anything in it."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin.tracking import extent

Writer = Callable[..., Path]
PARTS = {
    "mp4": [struct.pack(">I4s", 16, b"ftyp") + b"isomiso2", struct.pack(">I4sQ", 1, b"mdat", 40) + bytes(24),
            struct.pack(">I4s", 12, b"moov") + b"...."],
    "avi": [b"RIFF" + struct.pack("<I", 20) + b"AVI " + bytes(16), b"RIFF" + struct.pack("<I", 8) + b"AVIX....."[:8]],
    "matroska": [b"\x1a\x45\xdf\xa3\x84" + bytes(4), b"\x18\x53\x80\x67\x40\x0a" + bytes(10)],
}  # fmt: skip


@pytest.mark.parametrize("container_format", PARTS)
def test_cut_at_every_byte(tmp_path: Path, container_format: str) -> None:
    parts, path = PARTS[container_format], tmp_path / "v.mp4"
    for number, part in enumerate(parts):
        # what is shorter than a name and its size cannot be told from something else behind the video
        shortest = {"mp4": 16 if number == 1 else 8, "avi": 8, "matroska": 5 if number == 0 else 6}[container_format]
        for length in range(1 if number else 8, len(part) + 1):
            path.write_bytes(b"".join([*parts[:number], part[:length]]))
            assert extent.is_cut(path) == (shortest <= length < len(part)), (number, length)


@pytest.mark.parametrize("container_format", ["mp4", "matroska", "avi"])
@pytest.mark.parametrize("behind", [b"", b"\0", bytes(100), b"\xff" * 100])
def test_what_is_whole(tmp_path: Path, video_writer: Writer, container_format: str, behind: bytes) -> None:
    pictures = [np.zeros((48, 64), np.uint8)] * 3
    path = video_writer(tmp_path / "v.mp4", pictures, container_format=container_format)
    path.write_bytes(path.read_bytes() + behind)
    assert not extent.is_cut(path)
    os.truncate(path, path.stat().st_size - len(behind) - 9)
    assert extent.is_cut(path)


def test_sizes_that_are_not_told(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    for content in (
        struct.pack(">I4s", 0, b"mdat") + bytes(50),  # up to the end
        PARTS["matroska"][0] + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(9),  # written while it was sent
    ):
        path.write_bytes(content)
        assert not extent.is_cut(path)


@given(st.sampled_from([b"", b"RIFF", b"\x1a\x45\xdf\xa3", struct.pack(">I", 8)]), st.binary(max_size=200))
def test_anything_ends(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_bytes(start + rest)
    assert extent.is_cut(path) in (True, False)
