"""Stands in for TensorFlow's process: the same protocol, and every way to break it on demand.

STAND_IN names the behaviour, STAND_IN_PIDS a file that gets the process ids of what was started.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from iblvideo_admin.engines import tensorflow1_sidecar as wire

BEHAVIOUR = os.environ.get("STAND_IN", "good")
INCOMING, OUTGOING = (int(argument) for argument in sys.argv[1:3])
SLEEP = "import time; time.sleep(1000)"
GARBAGE = b"Traceback (most recent call last): this is no message at all"


def tell_pid(pid: int) -> None:
    if "STAND_IN_PIDS" in os.environ:
        with open(os.environ["STAND_IN_PIDS"], "a") as file:
            file.write(f"{pid}\n")


def send(kind: int, fields: dict[str, Any], payload: bytes = b"") -> None:
    os.write(OUTGOING, wire.pack(kind, fields, payload) + payload)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    while True:
        time.sleep(60)


def points_of(images: np.ndarray) -> np.ndarray:
    """One point per picture: its first pixel, its mean, 1."""
    return np.stack([images[:, 0, 0], images.mean(axis=(1, 2)), np.ones(len(images))], axis=1)[:, None].astype("f4")


class InternalError(Exception):
    """TensorFlow's own, which it raises for many things."""


class SlowNetwork:
    """For the real ``main``: a network that takes its time and memory as the environment says.

    The snapshot's name decides what goes wrong: ``bad``, ``late`` (when the weights are read), ``slow-<seconds>``.
    """

    running = most = 0
    lock = threading.Lock()

    def __init__(self, snapshot: str, pose_config: str) -> None:
        self.snapshot = Path(snapshot).name
        if self.snapshot == "bad":
            raise ValueError("no such snapshot\nand more lines of it")
        if self.snapshot == "no tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'")
        if self.snapshot == "no cuda":
            raise ImportError(
                "Traceback (most recent call last):\n  File\nImportError: libcublas.so.10.0: not there\n\nSee"
            )

    def points(self, images: np.ndarray) -> np.ndarray:
        if self.snapshot == "late":
            raise FileNotFoundError("snapshot gone")
        if images.shape == (1, 64, 64):
            time.sleep(float(self.snapshot.partition("slow-")[2] or 0))
            return points_of(images)
        with self.lock:
            SlowNetwork.running += 1
            SlowNetwork.most = max(self.most, self.running)
        time.sleep(float(os.environ.get("STAND_IN_S", "0")))
        with self.lock:
            together = self.running
            SlowNetwork.running -= 1
        self._allocate(len(images), together)
        found = points_of(images)
        found[:, 0, 2] = self.most
        return found

    def _allocate(self, pictures: int, together: int) -> None:
        if pictures > int(os.environ.get("STAND_IN_PICTURES", "1000")):
            raise InternalError("Dst tensor is not initialized.")
        if together > int(os.environ.get("STAND_IN_TOGETHER", "1000")):
            raise MemoryError


def real_main() -> None:
    wire.Network = SlowNetwork  # type: ignore[assignment,misc]
    wire.versions = lambda: {"stand_in": "1"}
    wire.main(sys.argv[1:])


def start() -> None:
    """What happens before the first word."""
    if BEHAVIOUR == "crash at start":
        die()
    if BEHAVIOUR == "exit at start":
        sys.exit(3)
    if BEHAVIOUR == "hang at start":
        hang()
    if BEHAVIOUR == "garbage first":
        os.write(OUTGOING, GARBAGE)
        hang()
    if BEHAVIOUR == "closes its pipe":
        os.close(OUTGOING)
        hang()
    if BEHAVIOUR == "other version":
        head = struct.pack("!4sHHIQ", wire.MAGIC, wire.VERSION + 1, wire.HELLO, 2, 0)
        os.write(OUTGOING, head + b"{}")
        hang()
    send(wire.HELLO, {"pid": os.getpid()})


def answer(fields: dict[str, Any], images: np.ndarray, turn: int) -> None:
    """Answer the turn-th batch: the third as the behaviour wants it."""
    found = points_of(images)
    good = {"id": fields["id"], "shape": found.shape, "at_once": 0}
    whole = wire.pack(wire.POINTS, good, found.tobytes()) + found.tobytes()
    deep = b"[" * 200_000
    wrong_answers: dict[str, Callable[[], object]] = {
        "crash": die,
        "odd signal": lambda: os.kill(os.getpid(), signal.SIGRTMIN + 3),
        "exit": lambda: os._exit(3),
        "hang": hang,
        "hang with a child": lambda: (tell_pid(subprocess.Popen([sys.executable, "-c", SLEEP]).pid), hang()),
        "half a message": lambda: (os.write(OUTGOING, whole[:-5]), hang()),
        "half a message and death": lambda: (os.write(OUTGOING, whole[:-5]), die()),
        "garbage": lambda: (os.write(OUTGOING, GARBAGE), hang()),
        "huge length": lambda: (os.write(OUTGOING, header(2, 1 << 60)), hang()),
        "deep json": lambda: (os.write(OUTGOING, header(len(deep), 0) + deep), hang()),
        "unknown id": lambda: send(wire.POINTS, {**good, "id": 10_000}, found.tobytes()),
        "odd id": lambda: send(wire.POINTS, {**good, "id": [1]}, found.tobytes()),
        "no shape": lambda: send(wire.POINTS, {"id": fields["id"]}, found.tobytes()),
        "huge shape": lambda: send(wire.POINTS, {**good, "shape": [1 << 40, 1 << 40, 3]}, found.tobytes()),
        "odd at_once": lambda: send(wire.POINTS, {**good, "at_once": []}, found.tobytes()),
        "other shape": lambda: send(wire.POINTS, {**good, "shape": [5, 5, 5]}, found.tobytes()),
        "a row too few": lambda: send(wire.POINTS, {**good, "shape": found[1:].shape}, found[1:].tobytes()),
        "flat": lambda: send(wire.POINTS, {**good, "shape": [found.size]}, found.tobytes()),
        "other kind": lambda: send(wire.LOADED, {"id": fields["id"], "versions": {}}),
        "error": lambda: send(wire.ERROR, {"id": fields["id"], "type": "UnknownError", "message": "cuDNN\nfailed"}),
        "out of memory": lambda: send(
            wire.ERROR, {"id": fields["id"], "type": "InternalError", "memory": True, "message": "Dst tensor"}
        ),
        "error without words": lambda: send(wire.ERROR, {"id": fields["id"], "message": [1]}),
    }
    if turn == 3 and BEHAVIOUR in wrong_answers:
        wrong_answers[BEHAVIOUR]()
    else:
        os.write(OUTGOING, whole)


def header(text: int, payload: int) -> bytes:
    return wire.HEADER.pack(wire.MAGIC, wire.VERSION, wire.POINTS, text, payload)


def main() -> None:
    tell_pid(os.getpid())
    if BEHAVIOUR == "the real main":
        real_main()
    start()
    turn = 0
    with os.fdopen(INCOMING, "rb") as stream:
        while (message := wire.read_message(stream)) is not None:
            kind, fields, payload = message
            if BEHAVIOUR == "noise":
                print("noise on standard output " * 4000)
                print("IBLV noise on standard error " * 4000, file=sys.stderr)
            if kind == wire.LOAD and BEHAVIOUR == "crash while loading":
                die()
            elif kind == wire.LOAD:
                versions = {} if BEHAVIOUR == "no versions" else {"versions": {"stand_in": "1"}}
                for each in fields["networks"]:
                    send(wire.LOADED, {"id": each["id"], **versions})
            else:
                turn += 1
                answer(fields, np.frombuffer(payload, np.uint8).reshape(fields["shape"]), turn)
    if BEHAVIOUR == "goes on after the end":
        hang()


if __name__ == "__main__":
    main()
