"""The queue's part of a snapshot: counts, what runs, what ended, what failed."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import exists
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.slots import has_worker
from iblvideo_admin.queue.states import STATES, Errored, Held
from iblvideo_admin.settings import Settings

_DAY_S = 86400.0
_RECENT = 5


def look(settings: Settings, now: float) -> dict[str, Any]:
    """The keys ``queue`` to ``failures`` of the snapshot; ``problem`` where the ledger cannot be read."""
    empty: dict[str, Any] = {
        "queue": dict.fromkeys(STATES, 0), "held": None, "held_until": None, "workers": [], "running": [],
        "last_complete": None, "recent": [], "last_day": _day([]), "done": {}, "waiting_since": None,
        "waiting_s": None, "failures": [],
    }  # fmt: skip
    if not exists(settings.state_dir / "ledger.sqlite"):
        return empty
    try:
        with Ledger(settings.state_dir) as ledger:
            return {**empty, **_of(ledger, settings, now)}
    except UserError as error:
        return {**empty, "problem": error.message}


def _of(ledger: Ledger, settings: Settings, now: float) -> dict[str, Any]:
    last = ledger.last("Complete")
    done = ledger.done_by_camera()
    workers = [
        {"device": at.device, "pid": at.pid, "since": at.since, "reason": at.reason}
        for at in ledger.devices()
        if has_worker(settings.state_dir, at.device)
    ]
    ended = "status IN ('Complete', 'Errored')"
    waiting = ledger.jobs("Waiting")
    return {
        "queue": ledger.counts(),
        "held": ledger.held(),
        "held_until": hold.until if (hold := ledger.hold_now()) else None,
        "workers": workers,
        "running": [_running(job, ledger, now, settings.stuck_s) for job in ledger.jobs("Started")],
        "last_complete": _brief(last) if last else None,
        "recent": [_brief(job) for job in ledger.select(f"WHERE {ended} ORDER BY since DESC LIMIT ?", [_RECENT])],
        "last_day": _day(ledger.select(f"WHERE {ended} AND since > ?", [now - _DAY_S])),
        "done": done,
        "waiting_since": min((job.state.since for job in waiting), default=None),
        "waiting_s": _estimate(waiting, done, len(workers)),
        "failures": [_failed(job) for job in ledger.jobs("Errored", "Held") if _has_failed(job)],
    }


def _brief(job: Job) -> dict[str, Any]:
    return {"id": job.id, "session": job.session, "camera": job.camera, **job.state.as_data()}


def _running(job: Job, ledger: Ledger, now: float, stuck_s: float) -> dict[str, Any]:
    progress = ledger.paths(job.id).read_progress() or {}
    written = progress.get("written", job.state.since)
    return {
        **_brief(job),
        "stage": progress.get("stage"),
        "frames_done": progress.get("done"),
        "frames_total": progress.get("total"),
        "fps": progress.get("fps"),
        "eta_s": progress.get("eta_s"),
        "stuck": now - written > stuck_s,
    }


def _day(jobs: list[Job]) -> dict[str, Any]:
    """What ended in the last 24 hours."""
    frames = sum(getattr(job.state, "frames", 0) for job in jobs)
    complete = sum(job.state.status == "Complete" for job in jobs)
    return {"complete": complete, "failed": len(jobs) - complete, "frames": frames}


def _estimate(waiting: list[Job], done: dict[str, dict[str, float]], workers: int) -> float | None:
    """Seconds of work that wait, by what each camera's videos took here so far; None where one is not known."""
    if any(job.camera not in done for job in waiting):
        return None
    return sum(done[job.camera]["seconds"] / done[job.camera]["jobs"] for job in waiting) / max(workers, 1)


def _has_failed(job: Job) -> bool:
    """Errored, or Held by the queue itself because its process died."""
    return isinstance(job.state, Errored) or (isinstance(job.state, Held) and bool(job.state.code))


def _failed(job: Job) -> dict[str, Any]:
    message = job.state.because if isinstance(job.state, Held) else getattr(job.state, "message", "")
    return {**_brief(job), "message": message, "acknowledged": job.acknowledged is not None}
