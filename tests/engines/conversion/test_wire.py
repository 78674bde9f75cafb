"""Google's formats: what is read is what was written, and what is damaged is said to be."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_table import block, table, varint

from iblvideo_admin.engines.conversion import wire
from iblvideo_admin.engines.conversion.wire import BrokenError


def test_the_checksum_is_castagnolis() -> None:
    """RFC 3720, appendix B.4."""
    assert wire.checksum(b"\0" * 32) == 0x8A9136AA
    assert wire.checksum(bytes(range(32))) == 0x46DD794E
    assert wire.checksum(b"123456789") == 0xE3069283


@given(st.integers(0, 2**63 - 1), st.binary(max_size=4))
def test_numbers_come_back(number: int, before: bytes) -> None:
    written = varint(number)
    assert wire.varint(before + written + b"\xff", len(before)) == (number, len(before) + len(written))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11])
def test_a_number_that_does_not_end_is_none(data: bytes) -> None:
    with pytest.raises(BrokenError):
        wire.varint(data, 0)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2**40) | st.binary(max_size=20))))
def test_fields_come_back(fields: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    )
    assert list(wire.fields(data)) == fields
    assert list(wire.fields(data + b"\x0d" + struct.pack("<f", 1.5)))[-1] == (1, struct.pack("<f", 1.5))


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\x0d\x01\x02", b"\x0b", b"\x08"])
def test_a_field_that_is_cut_off_is_none(data: bytes) -> None:
    with pytest.raises(BrokenError):
        list(wire.fields(data))


ROWS = st.dictionaries(st.binary(max_size=12), st.binary(max_size=40), max_size=30).map(lambda d: sorted(d.items()))


@given(ROWS, st.integers(1, 8))
def test_tables_come_back(rows: list[tuple[bytes, bytes]], a_block: int) -> None:
    assert list(wire.table(table(rows, a_block))) == rows


@given(ROWS.filter(bool), st.data())
def test_one_wrong_byte_is_found(rows: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """In a block or its trailer: the blocks' checksums cover all but the footer's padding."""
    good = table(rows, 4)
    place = data.draw(st.integers(0, len(good) - 1 - wire.FOOTER))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    try:
        assert list(wire.table(bytes(bad))) == rows  # the block of the table's own description, which nobody needs
    except BrokenError:
        return
    assert place >= len(good) - wire.FOOTER - len(block([])) - 64


@given(ROWS, st.data())
def test_what_is_cut_off_is_found(rows: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    good = table(rows, 4)
    with pytest.raises(BrokenError):
        list(wire.table(good[: data.draw(st.integers(0, len(good) - 1))]))


def test_a_compressed_block_is_refused() -> None:
    good = bytearray(table([(b"a", b"b")], 4))
    good[len(block([(b"a", b"b")]))] = 1
    with pytest.raises(BrokenError, match="compressed"):
        list(wire.table(bytes(good)))
