"""The worker: takes jobs in order, runs each as a child, and enters in the ledger what became of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Collection
from typing import Any, Protocol

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.run_job import JobResult, read_result
from iblvideo_admin.queue.states import ENDED, Complete, Errored, Started, State, Waiting

ATTEMPTS = 3
GRACE_S = 3.0
_LOOK_S = 0.2


class Observer(Protocol):
    """Is told what happens, for people who watch."""

    def started(self, job: Job) -> None:
        """A job begins."""

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """What the job's progress.json says now."""

    def ended(self, job: Job) -> None:
        """A job has its outcome, or is back in the queue."""


def worker_lease(ledger: Ledger) -> Lease | None:
    """The right to be the worker of this state folder; None where one lives already."""
    return Lease.take(ledger.state_dir / "worker.lock")


def recover(ledger: Ledger, retry_wait_s: float) -> None:
    """Settle what an earlier worker left as Started: its result if there is one, else back to Waiting.

    Only the holder of the worker's lease may call it.  A job whose child still lives stays as it is.
    """
    for job in ledger.jobs("Started"):
        paths = ledger.paths(job.id)
        lock = Lease.take(paths.lock)
        if lock is None:
            continue
        with lock:
            result = read_result(paths)
            if result is not None:
                settle(ledger, job, result, retry_wait_s)
            else:
                ledger.move(job.id, Waiting(time.time(), because="its worker ended"), "its worker ended")


def drain(
    ledger: Ledger,
    observer: Observer,
    retry_wait_s: float,
    *,
    only: Collection[int] | None = None,
    most: int | None = None,
) -> None:
    """Run jobs until none is left to run: all, or ``only`` those; at most ``most``.

    Raises ``interrupted`` on SIGINT or SIGTERM after the running job went back to Waiting.
    """
    recover(ledger, retry_wait_s)
    done = 0
    while most is None or done < most:
        if ledger.held() is not None:
            return
        job = ledger.next(time.time(), only)
        if job is None:
            if not _something_comes(ledger, only):
                return
            time.sleep(_LOOK_S)
            recover(ledger, retry_wait_s)
            continue
        run(ledger, job, observer, retry_wait_s)
        done += ledger.job(job.id).state.status in ENDED


def run(ledger: Ledger, job: Job, observer: Observer, retry_wait_s: float) -> None:
    """Run one job as a child process and settle it."""
    paths = ledger.paths(job.id)
    paths.set_aside(job.attempts)
    with open(paths.log, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "iblvideo_admin", "run-job", str(paths.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    job = ledger.move(job.id, Started(time.time(), pid=child.pid), "started")
    observer.started(job)
    try:
        while child.poll() is None:
            time.sleep(_LOOK_S)
            if (progress := read_json(paths.progress)) is not None:
                observer.progress(job, progress)
    except KeyboardInterrupt:
        _end(child)
        _settle_child(ledger, job, paths, child.returncode, retry_wait_s, interrupted=True)
        observer.ended(ledger.job(job.id))
        raise
    observer.ended(_settle_child(ledger, job, paths, child.returncode, retry_wait_s))


def settle(ledger: Ledger, job: Job, result: JobResult, retry_wait_s: float) -> Job:
    """Enter a result in the ledger."""
    # waiting for a device or a video that others use is no attempt
    attempts = job.attempts + (result.status != "Complete" and result.code != "queue.busy")
    state: State
    if result.status == "Complete":
        spent = result.ended - result.started
        state = Complete(result.ended, result.frames, result.fps, round(spent, 2), result.sha256, result.warnings)
        return ledger.move(job.id, state, "tracked", attempts=attempts)
    if result.transient and attempts < ATTEMPTS:
        state = Waiting(time.time(), time.time() + retry_wait_s * max(attempts, 1), f"{result.code}: {result.message}")
        return ledger.move(job.id, state, f"{result.code}, attempt {attempts} of {ATTEMPTS}", attempts=attempts)
    state = Errored(result.ended, result.code, result.message, result.remedy)
    return ledger.move(job.id, state, result.code, attempts=attempts)


def _settle_child(
    ledger: Ledger, job: Job, paths: JobPaths, status: int, retry_wait_s: float, *, interrupted: bool = False
) -> Job:
    result = read_result(paths)
    if result is not None:
        return settle(ledger, job, result, retry_wait_s)
    if interrupted:
        return ledger.move(job.id, Waiting(time.time(), because="interrupted"), "interrupted")
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    error = UserError("job.died", f"the job's process ended {how} and left no result; its log is {paths.log}")
    now = time.time()
    died = JobResult("Errored", now, now, error.code, error.message, error.remedy, transient=error.transient)
    return settle(ledger, job, died, retry_wait_s)


def _something_comes(ledger: Ledger, only: Collection[int] | None) -> bool:
    """Whether a job waits for its back-off, or an orphan of an earlier worker still runs."""
    return any(only is None or job.id in only for job in ledger.jobs("Waiting", "Started"))


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
