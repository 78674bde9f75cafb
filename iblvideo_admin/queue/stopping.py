"""What signals ask of a worker: it looks at them between two looks at its jobs, and never loses one half-way."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any


class Stop:
    """SIGTERM and SIGINT ask for an end, once more for one at once; SIGHUP asks to read the settings anew.

    In a thread other than the main one no signal arrives, and nothing is asked.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.reload = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            handlers = {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._again}
            self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def _end(self, *_: object) -> None:
        self.asked += 1

    def _again(self, *_: object) -> None:
        self.reload = True
