"""The workers: one for each place, started again whenever one has ended."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from e2e.chaos.place import Place

_AGAIN_S = 0.5


class Crew:
    """``places`` are the arguments of ``process`` that bind a worker to its device."""

    def __init__(self, place: Place, dice: random.Random, places: list[list[str]], stuck_s: float) -> None:
        self._place, self._dice, self._places = place, dice, places
        self._environment = {**place.lab.environment, "IBLVIDEO_ADMIN_STUCK_S": str(stuck_s)}
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._ended_at: dict[int, float] = {}
        self._logs = place.lab.folder / "workers"
        self._logs.mkdir()
        self.always_watch = False
        self.started = 0

    def keep(self) -> None:
        """Start who is not there: a service manager's part."""
        for number, arguments in enumerate(self._places):
            worker = self._workers.get(number)
            if worker is not None and worker.poll() is None:
                self._ended_at.pop(number, None)
            elif time.monotonic() >= self._ended_at.setdefault(
                number, time.monotonic() + self._dice.uniform(0, _AGAIN_S)
            ):
                self._ended_at.pop(number)
                self._workers[number] = self._start(number, arguments)

    def watchdog(self, pid: int) -> None:
        """End a worker that was stopped for good, as a service manager does with one that says nothing."""
        for worker in self._workers.values():
            if worker.pid == pid and worker.poll() is None:
                worker.kill()

    def leave(self, limit_s: float = 30) -> None:
        """SIGTERM to all; they must end in time."""
        for worker in self._workers.values():
            worker.send_signal(signal.SIGTERM)
        for worker in self._workers.values():
            worker.wait(limit_s)

    def logs(self) -> dict[Path, str]:
        """What the workers said."""
        return {path: path.read_text(errors="replace") for path in sorted(self._logs.iterdir())}

    def _start(self, number: int, arguments: list[str]) -> subprocess.Popen[bytes]:
        self.started += 1
        watch = ["--watch"] if self.always_watch or self._dice.random() < 0.67 else []
        with open(self._logs / f"{self.started:04}-{number}", "wb") as log:
            return _process(["process", *watch, *arguments], self._environment, log)


def _process(arguments: list[str], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "iblvideo_admin", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
    )
