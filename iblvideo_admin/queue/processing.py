"""What ``process`` does: plan, enter, run, and tell what became of every video."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.engines import start, weights
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.queue import plan as planning
from iblvideo_admin.queue import worker
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import ENDED, Complete, Errored
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.settings import Settings
from iblvideo_admin.tracking import windows_file
from iblvideo_admin.tracking.track import networks_of

COMMAND = "process"
_LOOK_S = 0.5


@dataclass(frozen=True)
class Wishes:
    """What the user asked for."""

    paths: tuple[Path, ...] = ()
    cameras: tuple[str, ...] = ()
    engine: str = "auto"
    since: str = ""
    windows: Path | None = None
    max_jobs: int | None = None
    overwrite: bool = False


def dry_run(wishes: Wishes, settings: Settings) -> Result:
    """What ``process`` would do; changes nothing."""
    planned = _plan(wishes, settings)
    days, unknown = _days(planned.wanted, settings)
    data = {
        "dry_run": True,
        "videos": [str(video.path) for video in planned.wanted],
        "skipped": [_skipped(skipped) for skipped in planned.skipped],
        "gpu_days": days,
        "gpu_days_unknown_for": unknown,
    }
    return Result(COMMAND, data, *_failures(planned, []))


def process(wishes: Wishes, settings: Settings, observer: worker.Observer) -> Result:
    """Queue the videos, run them here or follow the worker that lives already, and report each.

    Without paths the subjects folder is scanned and the whole queue is drained.
    """
    points = windows_file.read(wishes.windows) if wishes.windows else None
    planned = _plan(wishes, settings)
    _require_ready(wishes, settings)
    named = bool(wishes.paths)
    with Ledger(settings.state_dir) as ledger:
        jobs = planning.enter(
            planned.wanted, ledger, engine=wishes.engine, overwrite=wishes.overwrite, windows=points, named=named
        )
        mine = [job.id for job in jobs]
        if not named:
            mine += [job.id for job in ledger.jobs("Waiting", "Started") if job.id not in mine]
        before = {job.id for job in ledger.jobs() if job.state.status in ENDED} & set(mine)
        _run(ledger, mine, observer, settings, wishes.max_jobs)
        ended = [ledger.job(number) for number in mine if named or number not in before]
        held = ledger.held()
        data = {
            "jobs": [_told(job) for job in ended],
            "skipped": [_skipped(skipped) for skipped in planned.skipped],
            "queue": ledger.counts(),
        }
    exit_code, problems = _failures(planned, ended)
    if held is not None and any(job.state.status == "Waiting" for job in ended):
        problems = (*problems, Problem.of(UserError("queue.held", f"the queue is held {held}; nothing was started")))
        exit_code = FAILED
    return Result(COMMAND, data, exit_code, problems)


def _plan(wishes: Wishes, settings: Settings) -> planning.Plan:
    paths = wishes.paths or (settings.subjects_dir,)
    try:
        return planning.plan(
            paths,
            settings,
            cameras=wishes.cameras,
            since=wishes.since,
            overwrite=wishes.overwrite and bool(wishes.paths),
        )
    except UserError as error:
        if wishes.paths or error.code != "path.no_videos":
            raise
        return planning.Plan((), ())  # an empty subjects folder is no mistake of the user's


def _require_ready(wishes: Wishes, settings: Settings) -> None:
    """Refuse to touch the queue where no job at all could run.

    Raises ``toolchain.``, ``engine.`` or ``weights.missing``.
    """
    toolchain = choice.resolve(settings, inventory.look())
    start.engine_name(wishes.engine, settings, toolchain)
    start.require_ready(settings, toolchain)
    errors: list[UserError] = []
    for camera in CAMERAS.values():
        try:
            weights.load(settings.weights_dir, networks_of(camera))
        except UserError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def _run(
    ledger: Ledger, numbers: Collection[int], observer: worker.Observer, settings: Settings, most: int | None
) -> None:
    lease = worker.worker_lease(ledger)
    if lease is not None:
        with lease:
            worker.drain(ledger, observer, settings.retry_wait_s, only=numbers, most=most)
        return
    _follow(ledger, numbers, observer, most)


def _follow(ledger: Ledger, numbers: Collection[int], observer: worker.Observer, most: int | None) -> None:
    """Watch the jobs that another worker of this state folder runs."""
    from iblvideo_admin.files import read_json

    seen: dict[int, str] = {}
    while True:
        open_jobs = 0
        for job in [ledger.job(number) for number in numbers]:
            status, before = job.state.status, seen.get(job.id)
            seen[job.id] = status
            if status == "Started":
                if before != status:
                    observer.started(job)
                if (progress := read_json(ledger.paths(job.id).progress)) is not None:
                    observer.progress(job, progress)
            elif before == "Started":
                observer.ended(job)
            open_jobs += status in ("Started", "Waiting")
        ended = sum(status in ENDED for status in seen.values())
        if not open_jobs or ledger.held() is not None or (most is not None and ended >= most):
            return
        time.sleep(_LOOK_S)


def _told(job: Job) -> dict[str, Any]:
    """A job as the user of ``process`` wants to see it."""
    state = job.state.as_data()
    told = {"id": job.id, "video": job.video, "session": job.session, "camera": job.camera, **state}
    if isinstance(job.state, Complete):
        from iblvideo_admin.sessions import Video

        told["output"] = str(Video.at(Path(job.video)).table)
    return told


def _skipped(skipped: planning.Skipped) -> dict[str, Any]:
    code = skipped.problem.code if skipped.problem else ""
    return {
        "video": os.fsencode(skipped.video.path).decode("utf-8", "backslashreplace"),
        "because": skipped.because,
        "code": code,
    }


def _failures(planned: planning.Plan, jobs: list[Job]) -> tuple[int, tuple[Problem, ...]]:
    problems = [Problem.of(skipped.problem) for skipped in planned.skipped if skipped.problem]
    states = [job.state for job in jobs]
    problems += [Problem(s.code, s.message, s.remedy) for s in states if isinstance(s, Errored)]
    unfinished = [job for job in jobs if job.state.status == "Held"]
    return (FAILED if problems or unfinished else 0), tuple(problems)


def _days(videos: tuple[Any, ...], settings: Settings) -> tuple[float | None, list[str]]:
    """Days that this server would work, from its own frames/s per camera; and the cameras it has no figure for."""
    from iblvideo_admin.tracking.video import Reader

    speeds = _speeds(settings)
    unknown = sorted({video.camera.name for video in videos} - speeds.keys())
    seconds = 0.0
    for video in videos:
        if video.camera.name not in speeds:
            continue
        try:
            seconds += Reader(video.path).expected / speeds[video.camera.name]
        except UserError:  # it will be told when it is its turn
            continue
    return (round(seconds / 86400, 4) if len(speeds) else None), unknown


def _speeds(settings: Settings) -> dict[str, float]:
    """Frames per second of whole jobs, by camera, over the jobs that are Complete."""
    if not (settings.state_dir / "ledger.sqlite").exists():
        return {}
    frames: dict[str, int] = {}
    spent: dict[str, float] = {}
    with Ledger(settings.state_dir) as ledger:
        for job in ledger.jobs("Complete"):
            if isinstance(job.state, Complete) and job.state.frames:
                frames[job.camera] = frames.get(job.camera, 0) + job.state.frames
                spent[job.camera] = spent.get(job.camera, 0.0) + job.state.seconds
    return {camera: frames[camera] / spent[camera] for camera in frames if spent[camera] > 0}
