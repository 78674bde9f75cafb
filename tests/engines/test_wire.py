"""The framing between the two Pythons: whatever arrives is a message or a ProtocolError."""

import io
import json
import os
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblvideo_admin.engines import tensorflow1_sidecar as wire

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
messages = st.tuples(
    st.integers(wire.HELLO, wire.ERROR), st.dictionaries(st.text(), values, max_size=5), st.binary(max_size=300)
)


def encoded(kind: int, fields: dict[str, Any], payload: bytes) -> bytes:
    return wire.pack(kind, fields, payload) + payload


@given(st.lists(messages, max_size=4))
def test_round_trip(sent: list[tuple[int, dict[str, Any], bytes]]) -> None:
    stream = io.BytesIO(b"".join(encoded(*message) for message in sent))
    got = []
    while (message := wire.read_message(stream)) is not None:
        got.append((message[0], message[1], bytes(message[2])))
    assert got == sent


def test_truncated_at_every_byte() -> None:
    whole = encoded(wire.POINTS, {"id": 7, "shape": [1, 1, 3]}, b"twelve bytes")
    for length in range(1, len(whole)):
        with pytest.raises(wire.ProtocolError, match="ended inside"):
            wire.read_message(io.BytesIO(whole[:length]))
    assert wire.read_message(io.BytesIO(b"")) is None
    assert wire.read_message(io.BytesIO(whole)) is not None


@given(messages, st.data())
@settings(max_examples=150, deadline=None)
def test_flipped_bits(message: tuple[int, dict[str, Any], bytes], data: st.DataObject) -> None:
    damaged = bytearray(encoded(*message))
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, 8 * len(damaged) - 1))
        damaged[where // 8] ^= 1 << (where % 8)
    try:
        got = wire.read_message(io.BytesIO(damaged))
    except wire.ProtocolError:
        return
    assert got is not None and wire.HELLO <= got[0] <= wire.ERROR and isinstance(got[1], dict)


@given(st.binary(min_size=1, max_size=200))
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.read_message(io.BytesIO(content))


@pytest.mark.parametrize(
    "text", [b"[1]", b"null", b"{", b"\xff", b"[" * 200_000], ids=["list", "null", "cut", "bytes", "deep"]
)
def test_json_that_is_no_object(text: bytes) -> None:
    head = wire.HEADER.pack(wire.MAGIC, wire.VERSION, wire.HELLO, len(text), 0)
    with pytest.raises(wire.ProtocolError):
        wire.read_message(io.BytesIO(head + text))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("magic", b"HTTP"),
        ("version", wire.VERSION - 1),
        ("kind", 0),
        ("kind", 7),
        ("text", wire.LONGEST_JSON + 1),
        ("payload", wire.LONGEST_REQUEST + 1),
    ],
)
def test_impossible_headers(field: str, value: Any) -> None:
    parts = {"magic": wire.MAGIC, "version": wire.VERSION, "kind": wire.HELLO, "text": 2, "payload": 0, field: value}
    with pytest.raises(wire.ProtocolError):
        wire.unpack_header(wire.HEADER.pack(*parts.values()))


def test_answers_are_short() -> None:
    """What the modern side accepts from a process that may have gone mad."""
    whole = encoded(wire.POINTS, {}, bytes(wire.LONGEST_ANSWER + 1))
    assert wire.read_message(io.BytesIO(whole)) is not None
    with pytest.raises(wire.ProtocolError, match="impossible"):
        wire.read_message(io.BytesIO(whole), wire.LONGEST_ANSWER)


lengths = st.integers(0, 400) | st.integers(0, wire.LONGEST_REQUEST) | st.integers(0, 2**64 - 1)


@given(st.integers(wire.HELLO, wire.ERROR), lengths.filter(lambda n: n < 2**32), lengths, st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_lengths_that_promise_too_much(kind: int, text: int, payload: int, rest: bytes) -> None:
    """Through a pipe, as in life: it ends, in a message or an error, and takes no memory for what does not come."""
    head = wire.HEADER.pack(wire.MAGIC, wire.VERSION, kind, text, payload)
    reading, writing = os.pipe()
    os.write(writing, head + rest)
    os.close(writing)
    tracemalloc.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            try:
                message = wire.read_message(stream)
            except wire.ProtocolError:
                return
        assert message is not None
        assert len(message[2]) == payload
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 << 20


def test_a_length_that_promises_all_that_is_allowed() -> None:
    head = wire.HEADER.pack(wire.MAGIC, wire.VERSION, wire.INFER, 2, wire.LONGEST_REQUEST)
    tracemalloc.start()
    with pytest.raises(wire.ProtocolError, match="ended inside"):
        wire.read_message(io.BytesIO(head + b"{}" + bytes(1000)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_the_json_is_plain_ascii() -> None:
    """Names of any encoding pass: a path with a surrogate too."""
    fields = {"path": "m\udcffä"}
    text = wire.pack(wire.LOAD, fields)[wire.HEADER.size :]
    assert text.isascii() and json.loads(text) == fields
