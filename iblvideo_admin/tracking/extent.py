"""How long a file says it is, by the sizes of its outermost parts: whether the end of a copy is missing.

libav reads on where it can, so a cut behind the last picture, or one in a container without a count, goes unnoticed.
"""

from __future__ import annotations

import os
from pathlib import Path


def is_cut(path: Path) -> bool:
    """Whether the file ends inside an outermost part; False too where the container says no size, or is unknown."""
    with open(path, "rb") as file:
        whole = os.fstat(file.fileno()).st_size
        start = file.read(4)
        length_of = {b"\x1a\x45\xdf\xa3": _matroska, b"RIFF": _riff}.get(start, _mp4)
        place = 0
        while place < whole:
            file.seek(place)
            length = length_of(file.read(16))
            if length == 0:
                return False
            place += length
        return place > whole


# Each takes the first bytes of a part and gives its length; 0 for "up to the end", or something else behind the video.


def _mp4(head: bytes) -> int:
    """ISO 14496-12, 4.2: size (4 bytes, big endian), name, and a size of 8 bytes where the first is 1."""
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    named = len(name) == 4 and name.isascii() and name.decode().isprintable()
    return size if named and size >= 8 else 0


def _riff(head: bytes) -> int:
    """``RIFF``, size (4 bytes, little endian); an AVI beyond 1 GB has several, one after the other."""
    return 8 + int.from_bytes(head[4:8], "little") if head[:4] == b"RIFF" and len(head) >= 8 else 0


def _matroska(head: bytes) -> int:
    """RFC 8794: the head and the segment, each an id and a size of as many bytes as its first one tells."""
    if head[:4] not in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67") or len(head) < 5:
        return 0
    width = 9 - head[4].bit_length()
    unknown = (1 << 7 * width) - 1  # written while it was sent
    size = int.from_bytes(head[4 : 4 + width], "big") & unknown
    return 0 if width == 9 or len(head) < 4 + width or size == unknown else 4 + width + size
