"""Which ends of a job count as attempts, and when enough is enough."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from lab import add_job

from iblvideo_admin.errors import CATALOGUE, UserError
from iblvideo_admin.queue import repair, settle
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.outcome import JobResult, failed, read_result
from iblvideo_admin.queue.states import Complete, Errored, Held, Started, Waiting
from iblvideo_admin.settings import Settings

DONE = JobResult("Complete", 1.0, 2.0, frames=5)
PASSING = [code for code, kind in CATALOGUE.items() if kind.transient]


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path) as ledger:
        yield ledger


def started(ledger: Ledger, number: int | None = None) -> Job:
    number = add_job(ledger).id if number is None else number
    return ledger.move(number, Started(1.0), "started")


def a_result(ledger: Ledger, job: Job, code: str) -> JobResult:
    """As the job's process writes it."""
    result = failed(UserError(code, "what happened"), 1.0)
    result.write(ledger.paths(job.id))
    return result


@pytest.mark.parametrize("code", sorted(set(PASSING) - {"queue.busy", "disk.full"}))
def test_what_passes_is_tried_three_times_and_ever_later(ledger: Ledger, code: str) -> None:
    number, waits = add_job(ledger).id, []
    for attempt in (1, 2, 3):
        job = started(ledger, number)
        a_result(ledger, job, code)
        job = settle.ended(ledger, job, 75, 10.0)
        assert job.attempts == attempt
        if isinstance(job.state, Waiting):
            waits.append(round(job.state.not_before - job.state.since))
            assert read_result(ledger.paths(number)) is None, "it is set aside: the job is not done"
    assert isinstance(job.state, Errored) and job.state.code == code
    assert waits == [10, 20]


@pytest.mark.parametrize("code", ["queue.busy", "disk.full"])
def test_waiting_for_others_costs_nothing(ledger: Ledger, code: str) -> None:
    number = add_job(ledger).id
    for _ in range(5):
        job = started(ledger, number)
        a_result(ledger, job, code)
        job = settle.ended(ledger, job, 75, 10.0)
        assert (job.state.status, job.attempts, job.deaths) == ("Waiting", 0, 0)


@pytest.mark.parametrize("code", ["video.corrupt", "regions.not_found", "bug", "weights.missing"])
def test_what_does_not_pass_is_final(ledger: Ledger, code: str) -> None:
    job = started(ledger)
    a_result(ledger, job, code)
    job = settle.ended(ledger, job, 1, 10.0)
    assert isinstance(job.state, Errored) and (job.state.code, job.attempts) == (code, 1)


@pytest.mark.parametrize("status", [-signal.SIGSEGV, -signal.SIGKILL, 1, 2, 139])
def test_a_job_that_dies_twice_is_held(ledger: Ledger, status: int) -> None:
    number = add_job(ledger).id
    job = settle.ended(ledger, started(ledger, number), status, 0.0)
    assert (job.state.status, job.attempts, job.deaths) == ("Waiting", 1, 1)
    job = settle.ended(ledger, started(ledger, number), status, 0.0)
    assert isinstance(job.state, Held) and job.state.code == "job.died" and "died 2 times" in job.state.because
    assert (job.attempts, job.deaths) == (2, 2)


def test_a_death_that_was_the_last_attempt_is_in_the_folder(ledger: Ledger) -> None:
    """Or the next repair would find a job that failed and has no result, and start it again."""
    number = add_job(ledger).id
    for _ in range(2):
        job = started(ledger, number)
        a_result(ledger, job, "engine.crashed")
        settle.ended(ledger, job, 75, 0.0)
    job = settle.ended(ledger, started(ledger, number), -signal.SIGKILL, 0.0)
    result = read_result(ledger.paths(number))
    assert isinstance(job.state, Errored) and result is not None
    assert (result.status, result.code, job.state.code) == ("Errored", "job.died", "job.died")
    assert repair.repair(ledger, Settings()) == []


@pytest.mark.parametrize("status", [75, 3])
def test_a_job_that_could_not_be_run_has_not_died(ledger: Ledger, status: int) -> None:
    """No room for its result, no settings that can be read: nothing that the job could help."""
    number = add_job(ledger).id
    for _ in range(4):
        job = settle.ended(ledger, started(ledger, number), status, 10.0)
        assert (job.state.status, job.attempts, job.deaths) == ("Waiting", 0, 0)
        assert isinstance(job.state, Waiting) and job.state.not_before > job.state.since


def test_what_we_ended_ourselves_counts_only_where_it_stood_still(ledger: Ledger) -> None:
    number = add_job(ledger).id
    job = settle.give_back(ledger, started(ledger, number), "interrupted", 0.0)
    assert (job.state.status, job.attempts, job.deaths) == ("Waiting", 0, 0)
    for attempt in (1, 2, 3):
        job = settle.stopped(ledger, started(ledger, number), UserError("job.stuck", "no new frame"), 0.0)
        assert (job.attempts, job.deaths) == (attempt, 0)
    assert isinstance(job.state, Errored) and job.state.code == "job.stuck"
    result = read_result(ledger.paths(number))
    assert result is not None and result.code == "job.stuck", "the folder says so too"


@pytest.mark.parametrize("end", ["ended", "stopped", "given back"])
def test_a_job_that_was_done_at_that_very_moment_is_done(ledger: Ledger, end: str) -> None:
    job = started(ledger)
    ledger.mark(job.id, wish="cancel")
    DONE.write(ledger.paths(job.id))
    job = ledger.job(job.id)
    if end == "ended":
        job = settle.ended(ledger, job, -9, 0.0)
    elif end == "stopped":
        job = settle.stopped(ledger, job, UserError("job.stuck", "no new frame"), 0.0)
    else:
        job = settle.give_back(ledger, job, "interrupted", 0.0)
    assert isinstance(job.state, Complete) and (job.attempts, job.wish) == (0, "")


@pytest.mark.parametrize("status", [75, -9, 1])
@pytest.mark.parametrize("code", ["", "engine.crashed"])
def test_a_cancelled_job_is_not_tried_again(ledger: Ledger, status: int, code: str) -> None:
    job = started(ledger)
    ledger.mark(job.id, wish="cancel")
    if code:
        a_result(ledger, job, code)
    job = settle.ended(ledger, ledger.job(job.id), status, 0.0)
    assert job.state.status == "Abandoned"
    result = read_result(ledger.paths(job.id))
    assert result is not None and result.status == "Abandoned"


def test_the_longest_wait_is_an_hour() -> None:
    assert settle.backoff_s(30.0, 1) == 30.0
    assert settle.backoff_s(30.0, 2) == 60.0
    assert settle.backoff_s(30.0, 1000) == 3600.0


def test_a_ledger_that_cannot_be_written_leaves_the_result(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker tries again later, and knows then what it knew."""
    job = started(ledger)
    a_result(ledger, job, "engine.crashed")

    def full(*_: object, **__: object) -> Job:
        raise UserError("state.not_usable", "database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "move", full)
        with pytest.raises(UserError):
            settle.ended(ledger, job, 75, 0.0)
    assert settle.ended(ledger, job, 75, 0.0).attempts == 1
