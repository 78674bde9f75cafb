"""Jobs that somebody must run: here, or by the worker that lives already, whose place is taken when it ends."""

from __future__ import annotations

import time
from collections.abc import Collection

from iblvideo_admin.queue import worker
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.states import ENDED

_LOOK_S = 0.5


def run_or_follow(
    ledger: Ledger,
    numbers: Collection[int],
    observer: worker.Observer,
    retry_wait_s: float,
    *,
    most: int | None = None,
) -> None:
    """Return when the jobs have ended, at most ``most`` of them, or the queue is held."""
    jobs = Followed(ledger, numbers, observer)
    while (lease := worker.worker_lease(ledger)) is None:
        jobs.look()
        if jobs.over(most):
            return
        time.sleep(_LOOK_S)
    with lease:
        jobs.look()
        left = None if most is None else most - jobs.ended
        worker.drain(ledger, observer, retry_wait_s, only=numbers, most=left)


class Followed:
    """Jobs that another worker of this state folder runs (that worker may have come for others only)."""

    def __init__(self, ledger: Ledger, numbers: Collection[int], observer: worker.Observer) -> None:
        self._ledger, self._observer = ledger, observer
        self._numbers = numbers
        self._seen: dict[int, str] = {}
        self.ended = 0

    def look(self) -> None:
        """Tell the observer what has happened since the last look."""
        for job in self._ledger.jobs():
            if job.id not in self._numbers:
                continue
            status, before = job.state.status, self._seen.get(job.id)
            self._seen[job.id] = status
            if status == "Started":
                if before != status:
                    self._observer.started(job)
                if (progress := self._ledger.paths(job.id).read_progress()) is not None:
                    self._observer.progress(job, progress)
            elif before == "Started":
                self._observer.ended(job)
            self.ended += before is not None and before not in ENDED and status in ENDED

    def over(self, most: int | None) -> bool:
        """Whether nothing is left to wait for."""
        now = set(self._seen.values())
        if "Started" in now:
            return False
        return "Waiting" not in now or self._ledger.held() is not None or (most is not None and self.ended >= most)
