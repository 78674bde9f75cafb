"""What a job's end means to the ledger: done, tried again, held, or failed for good.

An attempt counts only where the job itself failed: its process wrote a result with an error, died by itself while its
worker lived, or was ended because it stood still.  What people, reboots and killed workers do costs nothing, and
neither does waiting for room, a device or a video that others use.
"""

from __future__ import annotations

import signal
import time

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.outcome import TRY_AGAIN, JobResult, failed, read_result
from iblvideo_admin.queue.states import Held, Waiting

ATTEMPTS = 3
DEATHS = 2
LONGEST_WAIT_S = 3600.0
_NO_ATTEMPT = frozenset({"queue.busy", "disk.full"})
_COULD_NOT_RUN = 3  # the contract's exit status of a command that could not do its work at all


def settle(ledger: Ledger, job: Job, result: JobResult, retry_wait_s: float) -> Job:
    """Enter a result; one that counts for good is in the job's folder already, or is written there now."""
    if result.status != "Errored":
        return ledger.move(job.id, result.as_state(), "tracked" if result.status == "Complete" else result.message)
    counted = result.code not in _NO_ATTEMPT
    attempts = job.attempts + counted
    if result.transient and job.wish == "cancel":
        return abandon(ledger, job, "cancelled")
    if result.transient and attempts < ATTEMPTS:
        why = f"{result.code}, attempt {attempts} of {ATTEMPTS}" if counted else result.code
        because = f"{result.code}: {result.message}"
        wait_s = backoff_s(retry_wait_s, attempts)
        with (
            ledger.transaction()
        ):  # both or none: where the ledger cannot be written, the result stays for another time
            waiting = Waiting(time.time(), time.time() + wait_s, because)
            moved = ledger.move(job.id, waiting, why, attempts=int(counted))
            ledger.paths(job.id).set_aside(job.attempts)
            return moved
    return ledger.move(job.id, result.as_state(), result.code, attempts=int(counted))


def ended(ledger: Ledger, job: Job, status: int, retry_wait_s: float) -> Job:
    """The job's process ended by itself, with this status (negative: a signal's number)."""
    paths = ledger.paths(job.id)
    if (result := read_result(paths)) is not None:
        return settle(ledger, job, result, retry_wait_s)
    if job.wish == "cancel":
        return abandon(ledger, job, "cancelled")
    if status in (TRY_AGAIN, _COULD_NOT_RUN):  # its log says why: no room, no state folder, interrupted
        because = f"it could not be run (status {status}); its log says why"
        wait_s = backoff_s(retry_wait_s, job.attempts)
        return ledger.move(job.id, Waiting(time.time(), time.time() + wait_s, because), because)
    how = f"by {signal_name(-status)}" if status < 0 else f"with status {status}"
    message = f"the job's process ended {how} and left no result; its log is {paths.log}"
    if job.deaths + 1 >= DEATHS:
        because = f"its process died {DEATHS} times; the last time it ended {how}"
        return ledger.move(job.id, Held(time.time(), because, code="job.died"), because, attempts=1, deaths=1)
    ledger.mark(job.id, deaths=job.deaths + 1)
    return _failed(ledger, job, UserError("job.died", message), retry_wait_s)


def stopped(ledger: Ledger, job: Job, error: UserError, retry_wait_s: float) -> Job:
    """We ended the job's process because of ``error``; perhaps it was done at that very moment."""
    if (result := read_result(ledger.paths(job.id))) is not None:
        return settle(ledger, job, result, retry_wait_s)
    return _failed(ledger, job, error, retry_wait_s)


def give_back(ledger: Ledger, job: Job, why: str, retry_wait_s: float) -> Job:
    """The job's process is gone and it is not the job's fault; perhaps it was done already."""
    result = read_result(ledger.paths(job.id))
    if result is not None:
        return settle(ledger, job, result, retry_wait_s)
    if job.wish == "cancel":
        return abandon(ledger, job, "cancelled")
    return ledger.move(job.id, Waiting(time.time(), because=why), why)


def abandon(ledger: Ledger, job: Job, why: str) -> Job:
    """A person gave it up: its folder says so too, so that no repair starts it again."""
    result = JobResult("Abandoned", job.state.since, time.time(), message=why)
    if job.pruned is None:  # without a folder its row says all
        write(ledger.paths(job.id), result)
    return ledger.move(job.id, result.as_state(), why)


def _failed(ledger: Ledger, job: Job, error: UserError, retry_wait_s: float) -> Job:
    """It is we who say how it failed.  Where that is for good its folder says so, or a repair would start it again."""
    result = failed(error, job.state.since)
    if job.attempts + 1 >= ATTEMPTS:
        write(ledger.paths(job.id), result)
    return settle(ledger, job, result, retry_wait_s)


def write(paths: JobPaths, result: JobResult) -> None:
    """Write a result that the job's process could not.  Raises ``state.not_usable``."""
    try:
        paths.folder.mkdir(exist_ok=True)
        result.write(paths)
    except OSError as error:
        raise UserError("state.not_usable", f"{paths.folder}: {error.strerror}") from error


def backoff_s(retry_wait_s: float, attempts: int) -> float:
    """Seconds until the next try: doubled with each attempt, an hour at most."""
    return min(retry_wait_s * 2.0 ** max(attempts - 1, 0), LONGEST_WAIT_S)


def signal_name(number: int) -> str:
    """What a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:  # those for real time have no names
        return f"signal {number}"
