"""The reference engine: DeepLabCut 2.1 on TensorFlow 1.13 in a process of its own Python 3.7.

Three threads serve it: one writes batches (from a short queue: that bounds the memory), one reads answers, one
watches the clock.  Whatever happens to the process - it dies, hangs, prints garbage - becomes one error, raised to
whoever waits or submits next.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from iblvideo_admin.engines import answers
from iblvideo_admin.engines import tensorflow1_sidecar as wire
from iblvideo_admin.engines.sidecar_process import SidecarProcess, sidecar_environment
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

__all__ = ["TensorFlow1", "sidecar_environment"]

START_LIMIT_S = 300.0  # importing TensorFlow and building the graphs on a slow, busy disk
ANSWER_LIMIT_S = 300.0  # one batch
JOIN_LIMIT_S = 1.0
_TICK_S = 0.25
_UNDER_WAY = 4


@dataclass(frozen=True)
class _Asked:
    """A request under way: who waits for its answer, and what answer that must be."""

    future: Future[Any]
    kind: int
    network: str
    pictures: int = 0


class TensorFlow1:
    """A running sidecar; ``log`` receives what it prints, ``lease`` descriptors are inherited."""

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
        self._python = python
        self._start_limit_s, self._answer_limit_s = start_limit_s, answer_limit_s
        self._failure: UserError | None = None
        self._pending: dict[int, _Asked] = {}
        self._lock = threading.Lock()
        self._next, self._silent_s, self._spoke = 1, 0.0, False
        self._ended = threading.Event()
        self._outbox: queue.Queue[tuple[bytes, Any]] = queue.Queue(_UNDER_WAY)
        self._networks: dict[str, NetworkFiles] = {}
        self._parted: set[str] = set()
        self._process = SidecarProcess(python, sidecar, log, environment or {}, lease)
        works = (self._write, self._read, self._watch)
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process id of the sidecar."""
        return self._process.pid

    def load(self, networks: list[NetworkFiles]) -> dict[str, str]:
        """See :class:`iblvideo_admin.engines.base.Engine`."""
        if not networks:
            return {}
        self._networks.update({network.name: network for network in networks})
        asked = [_Asked(Future(), wire.LOADED, network.name) for network in networks]
        files = [
            {"id": number, "name": n.name, "snapshot": str(n.snapshot), "pose_config": str(n.pose_config)}
            for number, n in zip(self._expect(asked), networks, strict=True)
        ]
        self._post(wire.pack(wire.LOAD, {"networks": files}))
        versions: dict[str, str] = asked[0].future.result()
        return versions

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """See :class:`iblvideo_admin.engines.base.Engine`."""
        asked = _Asked(Future(), wire.POINTS, network, len(images))
        [number] = self._expect([asked])
        payload = np.ascontiguousarray(images, np.uint8).reshape(-1).data
        self._post(wire.pack(wire.INFER, {"id": number, "network": network, "shape": images.shape}, payload), payload)
        return asked.future

    def __enter__(self) -> TensorFlow1:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the sidecar at once, also in the middle of a batch."""
        if self._fail(UserError("engine.failed", "the engine was closed")):
            for thread in self._threads:
                thread.join(JOIN_LIMIT_S)

    def _expect(self, asked: Sequence[_Asked]) -> list[int]:
        """Numbers for requests whose answers are to come.  Raises what ended the engine."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._pending:
                self._silent_s = 0.0
            numbers = list(range(self._next, self._next + len(asked)))
            self._next += len(asked)
            self._pending.update(zip(numbers, asked, strict=True))
        return numbers

    def _post(self, head: bytes, payload: Any = b"") -> None:
        while self._failure is None:  # after a failure nobody may take it
            with suppress(queue.Full):
                self._outbox.put((head, payload), timeout=0.25)
                break

    def _write(self) -> None:
        with os.fdopen(self._process.to_child, "wb", buffering=0) as pipe:
            while self._failure is None:
                try:
                    for part in self._outbox.get(timeout=0.25):
                        _write_all(pipe, part)
                except queue.Empty:
                    continue
                except OSError:
                    break  # the reader sees the same death and says why

    def _read(self) -> None:
        with os.fdopen(self._process.from_child, "rb") as pipe:
            try:
                while self._failure is None:
                    message = wire.read_message(pipe, wire.LONGEST_ANSWER)
                    if message is None:
                        raise self._process.death(spoke=self._spoke)
                    self._settle(*message)
            except UserError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001  nothing that it may send must leave somebody waiting
                self._fail(UserError("engine.garbage", f"the engine's process sent something else: {error}"))

    def _settle(self, kind: int, fields: dict[str, Any], payload: bytearray) -> None:
        """Hand one message to the future that waits for it."""
        self._silent_s, self._spoke = 0.0, True
        if kind == wire.HELLO:
            return
        with self._lock:
            asked = self._pending.pop(fields.get("id", 0), None)
        if asked is None:
            raise wire.ProtocolError(f"an answer to nothing, of kind {kind}")
        try:
            if kind == wire.ERROR:
                raise answers.error(fields, asked.network, loading=asked.kind == wire.LOADED, python=self._python)
            if kind != asked.kind:
                raise ValueError(f"kind {kind}, expected {asked.kind}")
            if kind == wire.LOADED:
                answer: Any = dict(fields["versions"])
            else:
                answer = answers.points(payload, fields["shape"], asked.pictures, self._networks[asked.network].points)
                self._note(asked, int(fields["at_once"]))
        except (KeyError, ValueError, TypeError) as error:
            garbage = UserError("engine.garbage", f"the engine's process sent a damaged answer: {error}")
            asked.future.set_exception(garbage)
            raise garbage from error
        except UserError as error:
            asked.future.set_exception(error)
            raise
        asked.future.set_result(answer)

    def _note(self, asked: _Asked, at_once: int) -> None:
        """Warn, once for each network, that its batches were too large for the memory."""
        if not at_once or asked.network in self._parted:
            return
        self._parted.add(asked.network)
        self.warnings.append(answers.parted(self._networks[asked.network], asked.pictures, at_once))

    def _watch(self) -> None:
        """End a process that owes an answer for too long; the clock stands still while nothing is owed.

        It counts its own ticks: after Ctrl-Z, or in a machine that was paused, the time that passed is nobody's fault.
        """
        while not self._ended.wait(_TICK_S):
            with self._lock:
                loading = any(asked.kind == wire.LOADED for asked in self._pending.values())
                self._silent_s = self._silent_s + _TICK_S if self._pending else 0.0
                silent_s = self._silent_s
            limit_s = self._start_limit_s if loading else self._answer_limit_s
            if silent_s > limit_s:
                late = f"the engine's process did not answer within {limit_s:g} s"
                self._fail(UserError("engine.timeout", late))

    def _fail(self, error: UserError) -> bool:
        """End the process; whoever waits or comes later hears of the first error.  Whether it has ended."""
        with self._lock:
            if self._failure is None:
                self._failure = error
            first, waiting = self._failure, list(self._pending.values())
            self._pending.clear()
        for asked in waiting:
            asked.future.set_exception(first)
        ended = self._process.kill()
        self._ended.set()
        return ended


def _write_all(pipe: Any, data: Any) -> None:
    view = memoryview(data)
    while len(view) > 0:
        view = view[pipe.write(view) :]
