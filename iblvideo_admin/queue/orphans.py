"""Jobs whose worker is gone: entered where they are done, given back where their process is gone, too.

A process that outlived its worker goes on; it holds its locks, so nobody else runs the job or uses its device.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from iblvideo_admin.queue import settle
from iblvideo_admin.queue.child import GRACE_S, Advance
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import Lease, end_holders
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import Started
from iblvideo_admin.settings import Settings


class Orphans:
    """Looks after them for one worker.  ``has_owner(job)`` says whether a living worker has it."""

    def __init__(self, ledger: Ledger, settings: Settings, has_owner: Callable[[Job], bool]) -> None:
        self._ledger, self._settings, self._has_owner = ledger, settings, has_owner
        self._watched: dict[int, Advance] = {}
        self._asked_at: dict[int, float] = {}

    def look(self) -> None:
        """Settle those that can be; end those that stand still or that a person has cancelled."""
        for job in self._ledger.jobs("Started"):
            if self._has_owner(job):
                continue
            paths = self._ledger.paths(job.id)
            lock = Lease.take(paths.lock) if paths.folder.is_dir() else nullcontext()
            if lock is None:
                self._still_runs(job, paths)
                continue
            with lock, self._ledger.transaction():  # whoever else looks after orphans may have been here
                if (job := self._ledger.job(job.id)).state.status == "Started" and not self._has_owner(job):
                    settle.give_back(self._ledger, job, "its worker ended", self._settings.retry_wait_s)
            self._watched.pop(job.id, None)
            self._asked_at.pop(job.id, None)

    def _still_runs(self, job: Job, paths: JobPaths) -> None:
        still_s = self._watched.setdefault(job.id, Advance(paths)).look()
        if job.wish != "cancel" and still_s <= self._settings.stuck_s:
            return
        assert isinstance(job.state, Started)
        now = time.monotonic()
        asked_at = self._asked_at.setdefault(job.id, now)
        if now - asked_at < GRACE_S:
            end_process(job.state.pid, paths, signal.SIGTERM)
        else:
            end_holders(paths.lock)


def end_process(pid: int, paths: JobPaths, number: signal.Signals) -> None:
    """Send a signal to the process that runs a job, if that is what the process of this number does."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return
    if b"run-job" in words and os.fsencode(paths.folder) in words:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
