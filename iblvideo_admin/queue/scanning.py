"""The subjects folder looked through beside the work: ten thousand sessions, or a file server that is slow."""

from __future__ import annotations

import threading
from collections.abc import Callable

from iblvideo_admin.queue.plan import Plan


class Scan:
    """One look in a thread of its own.  ``look`` makes the plan."""

    def __init__(self, look: Callable[[], Plan]) -> None:
        self._look = look
        self._plan: Plan | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="scan", daemon=True)
        self._thread.start()

    def plan(self) -> Plan | None:
        """What was found; None while it still looks.  Raises what the look raised."""
        if self._thread.is_alive():
            return None
        if self._error is not None:
            raise self._error
        return self._plan

    def _work(self) -> None:
        try:
            self._plan = self._look()
        except BaseException as error:  # noqa: BLE001  raised again where it is seen
            self._error = error
