"""Jobs that another worker runs: told to whoever watches, as if they were our own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.observer import Observer
from iblvideo_admin.queue.states import ENDED

_EVERY_S = 0.5


class Followed:
    """``only`` those jobs, and of them those that are not ours."""

    def __init__(
        self, ledger: Ledger, only: Collection[int] | None, observer: Observer, is_mine: Callable[[int], bool]
    ) -> None:
        self._ledger, self._observer = ledger, observer
        self._only, self._is_mine = only, is_mine
        self._seen: dict[int, str] = {}
        self._looked_at = -float("inf")
        self.ended = 0
        """How many ended in another worker's hands."""

    def forget(self, number: int) -> None:
        """We run it ourselves."""
        self._seen.pop(number, None)

    def look(self) -> None:
        """Tell the observer what has happened since the last look."""
        if self._only is None or time.monotonic() - self._looked_at < _EVERY_S:
            return
        self._looked_at = time.monotonic()
        statuses = self._ledger.by_number()  # one question, however many there are
        for number in self._only:
            status, before = statuses.get(number, "Abandoned"), self._seen.get(number)
            if self._is_mine(number):
                self._seen.pop(number, None)
                continue
            self._seen[number] = status
            if status == "Started" or before == "Started":
                self._tell(self._ledger.job(number), news=before != status)
            self.ended += before is not None and before not in ENDED and status in ENDED

    def _tell(self, job: Job, *, news: bool) -> None:
        """What a job does that is Started now or was so at the last look."""
        if job.state.status != "Started":
            self._observer.ended(job)
            return
        if news:
            self._observer.started(job)
        if (progress := self._ledger.paths(job.id).read_progress()) is not None:
            self._observer.progress(job, progress)
