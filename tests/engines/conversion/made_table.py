"""Writes the formats that the package only reads."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import google_crc32c
import numpy as np


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def masked(data: bytes) -> int:
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(rows: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Keys without what they share with the one before."""
    out, before = b"", b""
    for key, value in rows:
        shared = next(
            (n for n, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before))
        )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1)


def table(rows: Sequence[tuple[bytes, bytes]], a_block: int = 16) -> bytes:
    out, handles = b"", []

    def add(content: bytes) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        out += content + b"\0" + struct.pack("<I", masked(content + b"\0"))
        return handle

    for start in range(0, len(rows), a_block):
        part = rows[start : start + a_block]
        handles.append((part[-1][0], add(block(part))))
    meta = add(block([]))
    index = add(block(handles))
    return out + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def entry(array: np.ndarray, offset: int, *, kind: int = 1, sliced: bool = False, checksum: int | None = None) -> bytes:
    """A ``BundleEntryProto``."""
    dimensions = b"".join(_field(2, _number(1, size)) for size in array.shape)
    crc = masked(array.tobytes()) if checksum is None else checksum
    out = _number(1, kind) + _field(2, dimensions) + _number(4, offset) + _number(5, array.nbytes)
    return out + varint(6 << 3 | 5) + struct.pack("<I", crc) + (_field(7, b"") if sliced else b"")


def header(shards: int = 1, *, big_endian: bool = False) -> bytes:
    return _number(1, shards) + (_number(2, 1) if big_endian else b"")


def checkpoint(arrays: Iterable[tuple[str, np.ndarray]], **entries: object) -> tuple[bytes, bytes]:
    """(index, data) of a whole one; ``entries`` as of :func:`entry`."""
    rows, data = [(b"", header())], b""
    for name, array in sorted(arrays):
        rows.append((name.encode(), entry(array, len(data), **entries)))  # type: ignore[arg-type]
        data += array.tobytes()
    return table(rows), data


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def _field(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content
