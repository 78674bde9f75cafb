"""Runs DeepLabCut's networks under Python 3.7 and TensorFlow 1.13: the only file of the project that does.

Started as ``python tensorflow1_sidecar.py IN OUT`` with two inherited file descriptors; standard output and
error are a log.  Needs only the standard library and numpy until a network is asked for.  The modern side
imports the framing functions from here, so that there is one description of the protocol.

A message is a header (magic, version, kind, length of JSON, length of payload), a JSON object and raw bytes.
"""

from __future__ import annotations

import json
import os
import queue
import select
import struct
import sys
import threading
import traceback
from typing import Any, BinaryIO

import numpy as np

MAGIC, VERSION = b"IBLV", 1
HEADER = struct.Struct("!4sHHIQ")
LONGEST_JSON, LONGEST_PAYLOAD = 1 << 20, 1 << 28
HELLO, LOAD, LOADED, INFER, POINTS, ERROR = range(1, 7)


class ProtocolError(Exception):
    """What arrived is not a message."""


def pack(kind: int, fields: dict[str, Any], payload: Any = b"") -> bytes:
    """The header and JSON of a message; the payload follows as it is."""
    text = json.dumps(fields).encode("utf-8")
    return HEADER.pack(MAGIC, VERSION, kind, len(text), len(payload)) + text


def unpack_header(data: bytes) -> tuple[int, int, int]:
    """(kind, length of JSON, length of payload).  Raises ProtocolError."""
    magic, version, kind, text, payload = HEADER.unpack(data)
    if magic != MAGIC:
        raise ProtocolError("not a message: %r" % data[:16])
    if version != VERSION:
        raise ProtocolError("protocol version %d, expected %d" % (version, VERSION))
    if not HELLO <= kind <= ERROR or text > LONGEST_JSON or payload > LONGEST_PAYLOAD:
        raise ProtocolError("impossible message: kind %d, %d + %d bytes" % (kind, text, payload))
    return kind, text, payload


def read_message(stream: Any) -> tuple[int, dict[str, Any], bytearray] | None:
    """(kind, fields, payload), or None at the end of the stream.  Raises ProtocolError."""
    head = stream.read(HEADER.size)
    if not head:
        return None
    if len(head) < HEADER.size:
        raise ProtocolError("the stream ended inside a header")
    kind, text_length, payload_length = unpack_header(head)
    text, payload = stream.read(text_length), bytearray(payload_length)
    got = stream.readinto(payload) if payload_length else 0
    if len(text) < text_length or got < payload_length:
        raise ProtocolError("the stream ended inside a message")
    try:
        fields = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the message's JSON is damaged: %s" % error)
    if not isinstance(fields, dict):
        raise ProtocolError("the message's JSON is no object")
    return kind, fields, payload


class Network:
    """One network with DeepLabCut's own graph, fed with grey pictures of any number and size."""

    def __init__(self, snapshot: str, pose_config: str) -> None:
        import tensorflow as tf
        from deeplabcut.pose_estimation_tensorflow.config import load_config
        from deeplabcut.pose_estimation_tensorflow.nnet.net_factory import pose_net

        config = load_config(pose_config)
        config["init_weights"] = snapshot
        config["batch_size"] = 8  # any number above one selects the graph that takes every number
        graph = tf.Graph()
        with graph.as_default():
            self._images = tf.placeholder(tf.uint8, [None, None, None])
            grey = tf.cast(tf.expand_dims(self._images, 3), tf.float32)
            self._pose = pose_net(config).inference(tf.tile(grey, [1, 1, 1, 3]))["pose"]
            saver = tf.train.Saver()
        self._session = tf.Session(graph=graph)
        saver.restore(self._session, snapshot)

    def points(self, images: np.ndarray) -> np.ndarray:
        """(N, points, 3) float32 x, y, likelihood of (N, height, width) uint8 pictures."""
        pose = self._session.run(self._pose, {self._images: images})
        # DeepLabCut's rows are y, x, likelihood, the points of one picture after the other
        return np.ascontiguousarray(pose.reshape(len(images), -1, 3)[:, :, [1, 0, 2]], np.float32)


def versions() -> dict[str, str]:
    """What runs here."""
    import deeplabcut
    import tensorflow as tf

    return {
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "tensorflow": tf.__version__,
        "deeplabcut": deeplabcut.__version__,
    }


def answer(
    kind: int, fields: dict[str, Any], payload: bytearray, networks: dict[str, Network]
) -> tuple[int, dict[str, Any], bytes]:
    """The answer to one message: (kind, fields, payload)."""
    if kind == LOAD:
        for name in sorted(fields["networks"]):
            files = fields["networks"][name]
            networks[name] = Network(files["snapshot"], files["pose_config"])
        return LOADED, {"id": fields["id"], "versions": versions()}, b""
    if kind == INFER:
        images = np.frombuffer(payload, np.uint8).reshape(fields["shape"])
        points = networks[fields["network"]].points(images)
        return POINTS, {"id": fields["id"], "shape": points.shape}, points.tobytes()
    raise ProtocolError("kind %d is not a request" % kind)


def _end_with_the_stream(descriptor: int) -> None:
    """End as soon as nobody can write requests any more: then nobody waits for an answer either.

    Apart from the reading, which stops while the queue is full, and must not keep an orphan alive.
    """
    hang_up = select.poll()
    hang_up.register(descriptor, 0)  # no event but the hang-up, which cannot be left out
    hang_up.poll()
    os._exit(0)


def _receive(stream: BinaryIO, requests: Any) -> None:
    """Read ahead while a network runs."""
    while True:
        try:
            message = read_message(stream)
        except ProtocolError as error:
            sys.stderr.write("sidecar: %s\n" % error)
            message = None
        if message is None:
            os._exit(0)
        requests.put(message)


def main(arguments: list[str]) -> None:
    """Answer requests until the stream ends."""
    requests: Any = queue.Queue(4)
    incoming, outgoing = os.fdopen(int(arguments[0]), "rb"), os.fdopen(int(arguments[1]), "wb")
    threading.Thread(target=_receive, args=(incoming, requests), daemon=True).start()
    threading.Thread(target=_end_with_the_stream, args=(incoming.fileno(),), daemon=True).start()
    networks: dict[str, Network] = {}
    outgoing.write(pack(HELLO, {"pid": os.getpid()}))
    outgoing.flush()
    while True:
        kind, fields, payload = requests.get()
        try:
            kind, fields, answered = answer(kind, fields, payload, networks)
        except Exception as error:  # whatever it is, the other side must hear of it
            traceback.print_exc()
            lines = str(error).strip().splitlines() or [""]
            kind, answered = ERROR, b""
            fields = {"id": fields.get("id"), "type": type(error).__name__, "message": lines[0][:500]}
        outgoing.write(pack(kind, fields, answered))
        outgoing.write(answered)
        outgoing.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
