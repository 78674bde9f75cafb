"""The Python 3.7 side of the engine: answers requests with the networks of ``tensorflow1_networks``.

Started as ``python tensorflow1_sidecar.py IN OUT`` with two inherited file descriptors; standard output and
error are a log.  Speaks before it imports more than the standard library, so that it can say what is missing.
The modern side imports the framing functions from here, so that there is one description of the protocol.

A message is a header (magic, version, kind, length of JSON, length of payload), a JSON object and raw bytes.
Every request has an ``id`` that its answer repeats (LOAD: one for each network); answers come in any order.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import struct
import sys
import threading
import traceback
from typing import Any, BinaryIO, Callable, Iterator

MAGIC, VERSION = b"IBLV", 2
HEADER = struct.Struct("!4sHHIQ")
LONGEST_JSON, LONGEST_REQUEST, LONGEST_ANSWER = 1 << 20, 1 << 28, 1 << 20
HELLO, LOAD, LOADED, INFER, POINTS, ERROR = range(1, 7)

WORKERS = 2  # one batch is fed, and its answer sent, while the other runs
LARGE = 1 << 20  # pixels of a request that runs alone: two whole frames at once would double the peak memory
OUT_OF_MEMORY = (  # TensorFlow says it in errors of several kinds
    "OOM when allocating", "Dst tensor is not initialized", "CUDA_ERROR_OUT_OF_MEMORY", "failed to allocate",
    "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip


class ProtocolError(Exception):
    """What arrived is not a message."""


def pack(kind: int, fields: dict[str, Any], payload: Any = b"") -> bytes:
    """The header and JSON of a message; the payload follows as it is."""
    text = json.dumps(fields).encode("utf-8")
    return HEADER.pack(MAGIC, VERSION, kind, len(text), len(payload)) + text


def unpack_header(data: bytes, longest: int = LONGEST_REQUEST) -> tuple[int, int, int]:
    """(kind, length of JSON, length of payload).  Raises ProtocolError."""
    magic, version, kind, text, payload = HEADER.unpack(data)
    if magic != MAGIC:
        raise ProtocolError("not a message: %r" % data[:16])
    if version != VERSION:
        raise ProtocolError("protocol version %d, expected %d" % (version, VERSION))
    if not HELLO <= kind <= ERROR or text > LONGEST_JSON or payload > longest:
        raise ProtocolError("impossible message: kind %d, %d + %d bytes" % (kind, text, payload))
    return kind, text, payload


def read_message(stream: Any, longest: int = LONGEST_REQUEST) -> tuple[int, dict[str, Any], bytearray] | None:
    """(kind, fields, payload), or None at the end of the stream.  Raises ProtocolError.

    ``stream`` is a buffered binary one: its ``read`` gives all that was asked for, unless it ends.
    """
    head = stream.read(HEADER.size)
    if not head:
        return None
    if len(head) < HEADER.size:
        raise ProtocolError("the stream ended inside a header")
    kind, text_length, payload_length = unpack_header(head, longest)
    text, payload = stream.read(text_length), bytearray()
    while len(payload) < payload_length:  # in steps: no memory for what a damaged length only promises
        part = stream.read(min(payload_length - len(payload), 1 << 20))
        if not part:
            break
        payload += part
    if len(text) < text_length or len(payload) < payload_length:
        raise ProtocolError("the stream ended inside a message")
    try:
        fields = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the message's JSON is damaged: %s" % error)
    if not isinstance(fields, dict):
        raise ProtocolError("the message's JSON is no object")
    return kind, fields, payload


def Network(snapshot: str, pose_config: str) -> Any:
    """See ``tensorflow1_networks``."""
    import tensorflow1_networks  # type: ignore[import-not-found]

    return tensorflow1_networks.Network(snapshot, pose_config)


def versions() -> dict[str, str]:
    """What runs here."""
    import tensorflow1_networks

    found: dict[str, str] = tensorflow1_networks.versions()
    return found


class Turns:
    """Lets requests run side by side, or one alone; in the order in which they came."""

    def __init__(self) -> None:
        self._door, self._changed = threading.Lock(), threading.Condition()
        self._running, self._alone = 0, False

    @contextlib.contextmanager
    def turn(self, alone: bool) -> Iterator[None]:
        """While the request runs."""
        with self._door, self._changed:
            self._changed.wait_for(lambda: not self._running or not (alone or self._alone))
            self._running, self._alone = self._running + 1, alone
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()


class Served:
    """A network at work: whether it can be used yet, and how many pictures it gets at once (0: a whole batch)."""

    def __init__(self, network: Any, turns: Turns) -> None:
        self._network, self._turns, self._alone = network, turns, False
        self.ready, self.at_once = threading.Event(), 0

    def warm_up(self) -> None:
        """Restore its weights, and prove that it runs; beside whatever else runs, since so small a picture is nothing."""
        import numpy as np

        self._network.points(np.zeros((1, 64, 64), np.uint8))
        self.ready.set()

    def points(self, images: Any) -> Any:
        """As Network.points.  Where the memory does not suffice: first alone, then in halves, once and for all."""
        import numpy as np

        while True:
            alone, size = self._alone or images.size > LARGE, len(images)
            try:
                with self._turns.turn(alone):
                    size = self.at_once or size
                    starts = range(0, len(images), size)
                    return np.concatenate([self._network.points(images[start : start + size]) for start in starts])
            except Exception as error:
                if not is_out_of_memory(error) or (alone and (size == 1 or size < len(images))):
                    raise
                traceback.print_exc()
                if alone:
                    self.at_once = (size + 1) // 2
                self._alone = True


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it means that the card's or the host's memory did not suffice."""
    known = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    return known or any(words in str(error) for words in OUT_OF_MEMORY)


class Sidecar:
    """Answers requests until the stream ends."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing, self._speaking = incoming, outgoing, threading.Lock()
        self._requests: Any = queue.Queue(4)
        self._networks: dict[str, Served] = {}
        self._turns = Turns()

    def serve(self) -> None:
        """Never returns."""
        self._send(HELLO, {"pid": os.getpid()})
        for work in (self._end_with_the_stream, self._receive, *[self._work] * WORKERS):
            threading.Thread(target=_or_end, args=(work,), daemon=True).start()
        with contextlib.suppress(Exception):  # while the other side reads its files; who loads a network hears of it
            import tensorflow1_networks
        threading.Event().wait()

    def _receive(self) -> None:
        """Read ahead while a network runs."""
        while True:
            message = read_message(self._incoming)
            if message is None:
                os._exit(0)
            self._requests.put(message)

    def _end_with_the_stream(self) -> None:
        """End as soon as nobody can write requests any more: then nobody waits for an answer either.

        Apart from the reading, which stops while the queue is full, and must not keep an orphan alive.
        """
        hang_up = select.poll()
        hang_up.register(self._incoming.fileno(), 0)  # no event but the hang-up, which cannot be left out
        hang_up.poll()
        os._exit(0)

    def _work(self) -> None:
        while True:
            kind, fields, payload = self._requests.get()
            if kind == LOAD:
                self._load(fields["networks"])
            elif kind == INFER:
                self._infer(fields["id"], fields["network"], fields["shape"], payload)
            else:
                raise ProtocolError("kind %d is not a request" % kind)

    def _load(self, files: list[dict[str, Any]]) -> None:
        """Build all graphs, then restore one network after the other; each is answered as soon as it can be used."""
        each = files[0]
        try:
            for each in files:
                self._networks[each["name"]] = Served(Network(each["snapshot"], each["pose_config"]), self._turns)
            for each in files:
                network = self._networks[each["name"]]
                network.warm_up()
                self._send(LOADED, {"id": each["id"], "versions": versions()})
        except Exception as error:
            self._tell(each["id"], each["name"], error)

    def _infer(self, request: int, name: str, shape: list[int], payload: bytearray) -> None:
        import numpy as np

        try:
            network = self._networks[name]
            network.ready.wait()
            points = network.points(np.frombuffer(payload, np.uint8).reshape(shape))
        except Exception as error:
            self._tell(request, name, error)
        else:
            fields = {"id": request, "shape": points.shape, "at_once": network.at_once}
            self._send(POINTS, fields, points.tobytes())

    def _tell(self, request: int, network: str, error: Exception) -> None:
        """Whatever it is, the other side must hear of it."""
        traceback.print_exc()
        about = {"type": type(error).__name__, "memory": is_out_of_memory(error), "message": str(error)[:2000]}
        self._send(ERROR, {"id": request, "network": network, **about})

    def _send(self, kind: int, fields: dict[str, Any], payload: bytes = b"") -> None:
        with self._speaking:
            self._outgoing.write(pack(kind, fields, payload) + payload)
            self._outgoing.flush()


def _or_end(work: Callable[[], None]) -> None:
    """A thread that dies must not leave the others waiting."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def main(arguments: list[str]) -> None:
    """Serve the two descriptors."""
    Sidecar(os.fdopen(int(arguments[0]), "rb"), os.fdopen(int(arguments[1]), "wb")).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
