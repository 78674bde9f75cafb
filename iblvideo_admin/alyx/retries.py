"""What failed and is tried again: the later the more often it did."""

from __future__ import annotations

import time

MOST = 5
LONGEST_WAIT_S = 600.0


class Retries:
    """Of one process: a new one begins anew."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._attempts: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def again(self, what: str) -> bool:
        """It failed; whether it is worth another try of the same kind."""
        self._attempts[what] = attempts = self._attempts.get(what, 0) + 1
        self._due[what] = time.monotonic() + wait_s(self._every_s, attempts)
        return attempts < MOST

    def is_due(self, what: str) -> bool:
        """Whether it may be tried now."""
        return self._due.get(what, 0.0) <= time.monotonic()

    def forget_times(self) -> None:
        """Whatever waits may be tried at once."""
        self._due.clear()


def wait_s(every_s: float, attempts: int) -> float:
    """Seconds until the next try, doubled with each."""
    return float(min(every_s * 2.0 ** (min(attempts, 60) - 1), LONGEST_WAIT_S))
