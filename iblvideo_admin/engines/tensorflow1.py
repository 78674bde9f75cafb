"""The reference engine: DeepLabCut 2.1 on TensorFlow 1.13 in a process of its own Python 3.7.

Three threads serve it: one writes batches (from a short queue: that bounds the memory), one reads answers, one
watches the clock.  Whatever happens to the process - it dies, hangs, prints garbage - becomes one ``engine.``
error, raised to whoever waits or submits next.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from iblvideo_admin.engines import tensorflow1_sidecar as wire
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

START_LIMIT_S = 300.0  # importing TensorFlow and building the graphs on a slow, busy disk
ANSWER_LIMIT_S = 300.0  # one batch
KILL_LIMIT_S = 10.0  # a lost GPU can hold a process in the kernel for ever
_UNDER_WAY = 4


@dataclass(frozen=True)
class _Asked:
    """A request under way: who waits for its answer, and what answer that must be."""

    future: Future[Any]
    kind: int
    pictures: int = 0


class TensorFlow1:
    """A running ``sidecar``; ``log`` receives what it prints, ``lease`` descriptors are inherited."""

    name = "tensorflow1"

    def __init__(
        self,
        python: Path,
        log: IO[bytes],
        *,
        environment: Mapping[str, str] | None = None,
        lease: tuple[int, ...] = (),
        sidecar: Path = Path(wire.__file__),
        start_limit_s: float = START_LIMIT_S,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        self.warnings: list[str] = []
        self._start_limit_s, self._answer_limit_s = start_limit_s, answer_limit_s
        self._failure: UserError | None = None
        self._pending: dict[int, _Asked] = {}
        self._lock = threading.Lock()
        self._next = 0
        self._limit_s, self._heard = start_limit_s, time.monotonic()
        self._ended = threading.Event()
        self._outbox: queue.Queue[tuple[bytes, Any]] = queue.Queue(_UNDER_WAY)
        child_in, self._to_child = os.pipe()
        self._from_child, child_out = os.pipe()
        try:
            self._process = subprocess.Popen(
                [str(python), "-u", str(sidecar), str(child_in), str(child_out)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=sidecar_environment(environment or {}),
                pass_fds=(child_in, child_out, *lease),
                start_new_session=True,
            )
        except OSError as error:
            for descriptor in (self._to_child, self._from_child):
                os.close(descriptor)
            reason = f"{python} cannot be run: {error.strerror}"
            raise UserError("toolchain.not_provisioned", reason) from error
        finally:
            os.close(child_in)
            os.close(child_out)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        for thread in (self._writer, self._reader, self._watcher):
            thread.start()

    def load(self, networks: list[NetworkFiles]) -> dict[str, str]:
        """Build the networks' graphs and restore their weights."""
        files = {n.name: {"snapshot": str(n.snapshot), "pose_config": str(n.pose_config)} for n in networks}
        versions: dict[str, str] = self._send(wire.LOAD, {"networks": files}, _Asked(Future(), wire.LOADED)).result()
        return versions

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """See :class:`iblvideo_admin.engines.base.Engine`."""
        asked = _Asked(Future(), wire.POINTS, len(images))
        fields = {"network": network, "shape": images.shape}
        return self._send(wire.INFER, fields, asked, np.ascontiguousarray(images))

    def __enter__(self) -> TensorFlow1:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the sidecar: it stops when its input ends, and is killed where work was under way or it does not."""
        self._fail(UserError("engine.failed", "the engine was closed"), kill=bool(self._pending))
        self._writer.join(KILL_LIMIT_S)
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._kill()
        self._reader.join(KILL_LIMIT_S)
        self._watcher.join(KILL_LIMIT_S)

    def _send(self, kind: int, fields: dict[str, Any], asked: _Asked, payload: Any = b"") -> Future[Any]:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._pending:
                self._heard = time.monotonic()
            self._next += 1
            number = self._next
            self._pending[number] = asked
        view = memoryview(payload).cast("B") if len(payload) else b""
        message = wire.pack(kind, {**fields, "id": number}, view), view
        while self._failure is None:  # after a failure nobody may take it
            with suppress(queue.Full):
                self._outbox.put(message, timeout=0.25)
                break
        return asked.future

    def _write(self) -> None:
        with os.fdopen(self._to_child, "wb", buffering=0) as pipe:
            while self._failure is None:
                try:
                    for part in self._outbox.get(timeout=0.25):
                        _write_all(pipe, part)
                except queue.Empty:
                    continue
                except OSError:
                    break  # the reader sees the same death and says why

    def _read(self) -> None:
        with os.fdopen(self._from_child, "rb") as pipe:
            try:
                while self._failure is None:
                    message = wire.read_message(pipe)
                    if message is None:
                        raise self._died()
                    self._settle(*message)
            except UserError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001  nothing that it may send must leave somebody waiting
                self._fail(UserError("engine.garbage", f"the engine's process sent something else: {error}"))

    def _settle(self, kind: int, fields: dict[str, Any], payload: bytearray) -> None:
        """Hand one message to the future that waits for it."""
        self._heard = time.monotonic()
        if kind == wire.HELLO:
            return
        with self._lock:
            asked = self._pending.pop(fields.get("id", 0), None)
        if asked is None:
            raise wire.ProtocolError(f"an answer to nothing, of kind {kind}")
        try:
            if kind == wire.ERROR:
                raise UserError("engine.failed", f"the engine reported {fields.get('type')}: {fields.get('message')}")
            if kind != asked.kind:
                raise ValueError(f"kind {kind}, expected {asked.kind}")
            if kind == wire.LOADED:
                self._limit_s = self._answer_limit_s
                asked.future.set_result(dict(fields["versions"]))
            else:
                asked.future.set_result(_points(payload, fields["shape"], asked.pictures))
        except (KeyError, ValueError, TypeError) as error:
            garbage = UserError("engine.garbage", f"the engine's process sent a damaged answer: {error}")
            asked.future.set_exception(garbage)
            raise garbage from error
        except UserError as error:
            asked.future.set_exception(error)
            raise

    def _watch(self) -> None:
        """End a process that owes an answer for too long; the clock stands still while nothing is owed."""
        while not self._ended.wait(0.25):
            if self._pending and time.monotonic() - self._heard > self._limit_s:
                late = f"the engine's process did not answer within {self._limit_s:g} s"
                self._fail(UserError("engine.timeout", late))

    def _died(self) -> UserError:
        try:
            status = self._process.wait(KILL_LIMIT_S)
        except subprocess.TimeoutExpired:
            return UserError("engine.garbage", "the engine's process closed its pipe but goes on")
        if status < 0:
            name = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
            return UserError("engine.crashed", f"the engine's process was ended by {name}")
        return UserError("engine.crashed", f"the engine's process ended with status {status}")

    def _fail(self, error: UserError, *, kill: bool = True) -> None:
        with self._lock:
            first = self._failure is None
            if first:
                self._failure = error
            waiting = list(self._pending.values())
            self._pending.clear()
        for asked in waiting:
            asked.future.set_exception(self._failure or error)
        if kill:
            self._kill()
        if first:
            self._ended.set()

    def _kill(self) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # the failure has been told; the leases stay with the process
            self._process.wait(KILL_LIMIT_S)


def sidecar_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The process's environment: this one's, without what would leak a modern Python into the old one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**own, "DLClight": "True", "MPLBACKEND": "Agg", "PYTHONNOUSERSITE": "1",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true", **extra}  # fmt: skip


def _points(payload: bytearray, shape: list[int], pictures: int) -> np.ndarray:
    """The answer's numbers.  Raises ValueError where they are not (pictures, points, 3)."""
    points: np.ndarray = np.frombuffer(payload, np.float32).reshape(shape)
    if points.ndim != 3 or points.shape[0] != pictures or points.shape[2] != 3:
        raise ValueError(f"points of shape {shape} for {pictures} pictures")
    return points


def _write_all(pipe: Any, data: Any) -> None:
    view = memoryview(data)
    while len(view) > 0:
        view = view[pipe.write(view) :]
