"""The variables of a TensorFlow checkpoint, read with numpy alone.

A checkpoint (``tensor_bundle.proto`` of TensorFlow) is ``<prefix>.index``, a sorted string table of names and entries,
and ``<prefix>.data-<shard>-of-<shards>`` with the values.  An entry's fields: 1 type, 2 shape, 3 shard, 4 offset,
5 size in bytes, 6 masked checksum, 7 slices.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iblvideo_admin.engines.conversion import wire
from iblvideo_admin.engines.conversion.wire import BrokenError
from iblvideo_admin.errors import UserError

# numbers of `types.proto`; others hold no weights
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 19: "<f2"}
_BIG_ENDIAN = 1


@dataclass(frozen=True)
class Entry:
    """Where a variable lies: dtype as numpy spells it (empty: one that holds no weights), shape, and its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int | None
    sliced: bool


def read(prefix: Path, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, np.ndarray]:
    """The wanted variables by name.

    Raises ``weights.damaged``, naming the file, where it is missing, cut off or not as its checksums say.
    """
    index = Path(f"{prefix}.index")
    shards, entries = _index(index)
    opened: dict[int, np.ndarray] = {}
    found = {}
    for entry in entries:
        if not wanted(entry.name):
            continue
        path = Path(f"{prefix}.data-{entry.shard:05d}-of-{shards:05d}")
        try:
            if entry.shard not in opened:
                opened[entry.shard] = np.memmap(path, np.uint8, "r")
            found[entry.name] = _value(entry, opened[entry.shard])
        except (OSError, ValueError) as error:
            raise UserError("weights.damaged", f"{path}: {_why(error)}") from error
    return found


def names(prefix: Path) -> dict[str, tuple[int, ...]]:
    """Every variable's shape.  Raises as :func:`read` does."""
    return {entry.name: entry.shape for entry in _index(Path(f"{prefix}.index"))[1]}


def _index(path: Path) -> tuple[int, list[Entry]]:
    """How many files of values there are, and what lies where."""
    try:
        rows = list(wire.table(path.read_bytes()))
        if not rows or rows[0][0] != b"":
            raise BrokenError("its header is missing")
        header = dict(wire.fields(rows[0][1]))
        if header.get(2, 0) == _BIG_ENDIAN:
            raise BrokenError("it was written on a big-endian machine")
        return int(header.get(1, 1)), [_entry(key, value) for key, value in rows[1:]]
    except (OSError, ValueError, struct.error) as error:
        raise UserError("weights.damaged", f"{path} is no checkpoint's index: {_why(error)}") from error


def _entry(key: bytes, value: bytes) -> Entry:
    about = dict(wire.fields(value))
    checksum = about.get(6)
    return Entry(
        key.decode(),
        _TYPES.get(int(about.get(1, 0)), ""),
        tuple(_shape(about.get(2, b""))),
        int(about.get(3, 0)),
        int(about.get(4, 0)),
        int(about.get(5, 0)),
        None if not isinstance(checksum, bytes) else wire.unmasked(int.from_bytes(checksum, "little")),
        7 in about,
    )


def _shape(message: int | bytes) -> Iterator[int]:
    """The sizes of a ``TensorShapeProto``; those of 0 are not written."""
    if isinstance(message, bytes):
        for number, dimension in wire.fields(message):
            if number == 2 and isinstance(dimension, bytes):
                yield int(dict(wire.fields(dimension)).get(1, 0))


def _value(entry: Entry, data: np.ndarray) -> np.ndarray:
    if entry.sliced:
        raise BrokenError(f"{entry.name} is stored in slices")
    if not entry.dtype:
        raise BrokenError(f"{entry.name} holds no numbers that a network is made of")
    dtype = np.dtype(entry.dtype)
    if entry.size != dtype.itemsize * int(np.prod(entry.shape, dtype=np.int64)):
        raise BrokenError(f"{entry.name} has {entry.size} bytes, which is not the size of {entry.shape}")
    raw = data[entry.offset : entry.offset + entry.size]
    if len(raw) != entry.size:
        raise BrokenError(f"it is cut off: {entry.name} ends at {entry.offset + entry.size} of {len(data)} bytes")
    content = raw.tobytes()
    if entry.checksum is not None and wire.checksum(content) != entry.checksum:
        raise BrokenError(f"the checksum of {entry.name} is wrong")
    return np.frombuffer(content, dtype).reshape(entry.shape)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
