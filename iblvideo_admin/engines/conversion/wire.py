"""The few shapes of Google's binary formats that a checkpoint's index is made of.

Protocol buffers: fields of a number and a value (https://protobuf.dev/programming-guides/encoding).  Sorted string
tables: blocks of key and value, each key without what it shares with the one before (LevelDB's ``table_format.md``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import google_crc32c

FOOTER = 48  # bytes at the end of a table: two handles, filled up with zeros, and the magic number
TRAILER = 5  # bytes after a block: how it is compressed, and its checksum
_MAGIC = 0xDB4775248B80FB57
_MASK = 0xA282EAD8


class BrokenError(ValueError):
    """What was read is not what the format says."""


def checksum(data: bytes | memoryview) -> int:
    """CRC-32C (Castagnoli)."""
    return int(google_crc32c.value(bytes(data)))


def unmasked(stored: int) -> int:
    """A checksum as it was before it was stored: rotated and shifted, lest checksums of checksums agree."""
    value = (stored - _MASK) & 0xFFFFFFFF
    return (value >> 17 | value << 15) & 0xFFFFFFFF


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, place behind it): seven bits a byte, the lowest first."""
    number = 0
    for place in range(10):
        if at >= len(data):
            raise BrokenError("a number is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number, at
    raise BrokenError("a number does not end")


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of a protocol buffer; fixed-width values as their bytes."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(message, at)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise BrokenError(f"a field of kind {kind}")
        size, at = varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > len(message):
            raise BrokenError("a field is cut off")
        yield key >> 3, message[at : at + size]
        at += size


def table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of a sorted string table, whose checksums are right."""
    if len(data) < FOOTER or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise BrokenError("it does not end as such a table does")
    _, _, at = _handle(data, len(data) - FOOTER)
    start, size, _ = _handle(data, at)
    for _, handle in _block(data, start, size):
        begin, length, _ = _handle(handle, 0)
        yield from _block(data, begin, length)


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Where a block begins, its size, and the place behind the handle."""
    start, at = varint(data, at)
    size, at = varint(data, at)
    return start, size, at


def _block(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    end = start + size
    if end + TRAILER > len(data) or size < 4:
        raise BrokenError("a block lies outside the file")
    if data[end] != 0:
        raise BrokenError("a compressed block: TensorFlow writes none")
    if unmasked(struct.unpack_from("<I", data, end + 1)[0]) != checksum(data[start : end + 1]):
        raise BrokenError("a block's checksum is wrong")
    block = data[start:end]
    restarts = struct.unpack_from("<I", block, size - 4)[0]
    at, last, key = 0, size - 4 - 4 * restarts, b""
    while at < last:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length
