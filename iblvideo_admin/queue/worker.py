"""The worker: takes jobs in order, runs each as a child, and enters in the ledger what became of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Protocol

from iblvideo_admin import interruption
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.run_job import JobResult, failed, read_result
from iblvideo_admin.queue.states import ENDED, Complete, Errored, Started, State, Waiting

ATTEMPTS = 3
GRACE_S = 2.0  # who presses Ctrl-C waits three seconds at most
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
        lock = Lease.take(paths.lock) if paths.folder.is_dir() else nullcontext()
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
        orphans = ledger.numbers("Started")  # children of a worker that was killed still use the device
        job = None if orphans else ledger.next(time.time(), only)
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
    damage = _damage(paths)
    # Set aside, entered, started, in this order: a worker that is killed in between leaves what recover() settles
    if damage is None:
        with _state_refusals(paths):
            paths.set_aside(job.attempts)
    job = ledger.move(job.id, Started(time.time()), "started")
    if damage is not None:
        observer.ended(settle(ledger, job, failed(damage, job.state.since), retry_wait_s))
        return
    child: subprocess.Popen[bytes] | None = None
    try:
        child = _start(paths)
        ledger.amend(job.id, Started(job.state.since, pid=child.pid))
        observer.started(job)
        _watch(child, paths, job, observer)
        job = _settle_child(ledger, job, paths, child.returncode, retry_wait_s)
    except BaseException:
        with interruption.ignored():  # somebody impatient must not leave the job half given back
            if child is not None:
                _end(child)
            observer.ended(_give_back(ledger, job, paths, retry_wait_s))
        raise
    observer.ended(job)


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


def _damage(paths: JobPaths) -> UserError | None:
    """What makes this very job impossible to start: a person's hand, or a disk's fault, in its folder."""
    try:
        paths.read_request()
    except UserError as error:
        return UserError("job.damaged", error.message)
    return None


@contextmanager
def _state_refusals(paths: JobPaths) -> Iterator[None]:
    """What no job could do either ends the command: a full or read-only disk, no process to be had."""
    try:
        yield
    except OSError as error:
        raise UserError("state.not_usable", f"{paths.folder}: {error.strerror}") from error


def _start(paths: JobPaths) -> subprocess.Popen[bytes]:
    with _state_refusals(paths), open(paths.log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "iblvideo_admin", "run-job", str(paths.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",  # `-m` looks for the package there first: never in the folder that somebody happens to stand in
        )


def _watch(child: subprocess.Popen[bytes], paths: JobPaths, job: Job, observer: Observer) -> None:
    while child.poll() is None:
        time.sleep(_LOOK_S)
        if (progress := paths.read_progress()) is not None:
            observer.progress(job, progress)


def _settle_child(ledger: Ledger, job: Job, paths: JobPaths, status: int, retry_wait_s: float) -> Job:
    result = read_result(paths)
    if result is None:
        how = f"by {_signal(-status)}" if status < 0 else f"with status {status}"
        message = f"the job's process ended {how} and left no result; its log is {paths.log}"
        result = failed(UserError("job.died", message), job.state.since)
    return settle(ledger, job, result, retry_wait_s)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # those for real time have no names
        return f"signal {number}"


def _give_back(ledger: Ledger, job: Job, paths: JobPaths, retry_wait_s: float) -> Job:
    """Settle a job whose child we ended: perhaps it was done already."""
    result = read_result(paths)
    if result is not None:
        return settle(ledger, job, result, retry_wait_s)
    return ledger.move(job.id, Waiting(time.time(), because="interrupted"), "interrupted")


def _something_comes(ledger: Ledger, only: Collection[int] | None) -> bool:
    """Whether a job waits for its back-off, or an orphan of an earlier worker still runs."""
    coming = ledger.numbers("Waiting", "Started")
    return bool(coming if only is None else coming.intersection(only))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it, by force after a while.  A lost GPU can hold it for ever: its locks stay with it, we go on."""
    for end in (child.terminate, child.kill):
        end()
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
            return
