"""What people do to single jobs: look and change are one step, whatever the workers do meanwhile."""

from __future__ import annotations

import signal
import time

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import settle
from iblvideo_admin.queue.job import Request
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.orphans import end_process
from iblvideo_admin.queue.slots import has_worker
from iblvideo_admin.queue.states import Held, Started, Waiting

_MOST_PRIORITY = 1_000_000


def hold(ledger: Ledger, number: int, why: str = "", until: float = 0.0) -> Job:
    """Keep a Waiting job from being started.  Raises ``queue.not_possible``: a running one ends as it ends."""
    with ledger.transaction():
        _require(ledger, number, "Waiting")
        return ledger.move(number, Held(time.time(), why, until), why or "held by hand")


def release(ledger: Ledger, number: int) -> Job:
    """Let a Held job run, as if its process had never died.  Raises ``queue.not_possible``."""
    with ledger.transaction():
        _require(ledger, number, "Held")
        ledger.mark(number, deaths=0, acknowledged=None)
        return ledger.move(number, Waiting(time.time()), "released by hand")


def release_overdue(ledger: Ledger) -> None:
    """Let those Held jobs run whose time has come."""
    for job in ledger.overdue_holds(time.time()):
        with ledger.transaction():
            if ledger.job(job.id).state == job.state:
                ledger.move(job.id, Waiting(time.time()), "its hold is over")


def retry(ledger: Ledger, number: int) -> Job:
    """Try again what failed or was given up, and at once what waits for its next try.

    Raises ``queue.not_possible`` for one that runs, is held or is done.
    """
    with ledger.transaction():
        job = _require(ledger, number, "Errored", "Abandoned", "Waiting")
        if job.state.status == "Waiting":
            return ledger.correct(number, Waiting(time.time()), "to be tried at once")
        pruned = job.pruned is not None  # what was asked is gone with its folder: it is asked as plainly as can be
        request = Request(job.video) if pruned else ledger.paths(number).read_request()
        return ledger.again(job, request, "to be tried again")


def cancel(ledger: Ledger, number: int) -> Job:
    """Give a job up.  A running one is told to end; it may be done before that.  Raises ``queue.not_possible``."""
    with ledger.transaction():
        job = _require(ledger, number, "Waiting", "Held", "Started", "Errored", "Abandoned")
        if job.state.status == "Abandoned":
            return job
        if not isinstance(job.state, Started):
            return settle.abandon(ledger, job, "cancelled by hand")
        job = ledger.mark(number, wish="cancel")
    assert isinstance(job.state, Started)
    if not has_worker(ledger.state_dir, job.state.device):  # nobody is there to end it
        end_process(job.state.pid, ledger.paths(number), signal.SIGTERM)
    return job


def priority(ledger: Ledger, number: int, value: int) -> Job:
    """Jobs of a higher priority are started first.  Raises ``queue.job_unknown``."""
    with ledger.transaction():
        ledger.job(number)
        return ledger.mark(number, priority=max(-_MOST_PRIORITY, min(value, _MOST_PRIORITY)))


def acknowledge(ledger: Ledger, number: int) -> Job:
    """Say that a person knows of a failure: it needs no attention any more.  Raises ``queue.not_possible``."""
    with ledger.transaction():
        _require(ledger, number, "Errored", "Held")
        return ledger.mark(number, acknowledged=time.time())


def _require(ledger: Ledger, number: int, *statuses: str) -> Job:
    job = ledger.job(number)
    if job.state.status not in statuses:
        wanted = " or ".join([", ".join(statuses[:-1]), statuses[-1]] if len(statuses) > 1 else statuses)
        raise UserError("queue.not_possible", f"job {number} is {job.state.status}, not {wanted}")
    return job
