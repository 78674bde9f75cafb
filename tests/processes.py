"""Processes that tests start: which of them still run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


class Pids:
    """The processes that stand-ins started."""

    def __init__(self, path: Path, alive: Callable[[int], bool]) -> None:
        self.path, self._alive = path, alive

    def all(self) -> list[int]:
        return [int(line) for line in self.path.read_text().split()] if self.path.exists() else []

    def alive(self, within_s: float = 0.0) -> list[int]:
        """Those still running after some time."""
        until = time.monotonic() + within_s
        while (left := [pid for pid in self.all() if self._alive(pid)]) and time.monotonic() < until:
            time.sleep(0.02)
        return left
