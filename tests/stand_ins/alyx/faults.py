"""What goes wrong at a chosen request: every failure of the recording, before or after the work is done."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

HOWS = (
    "500", "502 html", "503", "429", "404", "400", "200 html", "cut", "hang", "drip", "close", "bad token", "no token",
    "late", "kill",
)  # fmt: skip


@dataclass
class Fault:
    """``how`` one of :data:`HOWS`; ``after``: the work is done, only the answer goes wrong.

    ``late`` does the work when nobody waits for it any more; ``kill`` ends whoever asks, by :attr:`Faults.kill`.
    ``match`` is searched in ``METHOD /path?query``; ``times`` requests go wrong, ``skip`` come through before that.
    """

    how: str
    match: str = ""
    times: int = 1
    skip: int = 0
    after: bool = False
    seconds: float = 3600.0
    retry_after: str = "1"
    hits: int = field(default=0, init=False)


class Faults:
    """Those of one server; ``requests`` is every request that came, ``down`` closes each connection unanswered."""

    def __init__(self) -> None:
        self.down = False
        self.requests: list[str] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.kill: Callable[[], None] = lambda: None

    def add(self, how: str, match: str = "", **options: object) -> Fault:
        fault = Fault(how, match, **options)  # type: ignore[arg-type]
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
        self.down = False

    def of(self, request: str) -> Fault | None:
        """The fault of a request, used up once."""
        with self._lock:
            self.requests.append(request)
            if self.down:
                return Fault("close")
            for fault in self._faults:
                if fault.times > fault.hits and re.search(fault.match, request):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.hits += 1
                    return fault
        return None

    def count(self, match: str) -> int:
        """How many requests came that fit."""
        with self._lock:
            return sum(bool(re.search(match, request)) for request in self.requests)
