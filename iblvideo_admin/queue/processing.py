"""What ``process`` does: plan, enter, run, and tell what became of every video."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.engines import start, weights
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.files import exists
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.queue import plan as planning
from iblvideo_admin.queue import worker
from iblvideo_admin.queue.following import run_or_follow
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import ENDED, Complete, Errored, Held
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.settings import Settings
from iblvideo_admin.tracking import windows_file
from iblvideo_admin.tracking.track import networks_of

COMMAND = "process"


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

    def cover(self, job: Job) -> bool:
        """Whether a job that is in the queue already is among what was asked for."""
        return job.date >= self.since and (not self.cameras or job.camera in self.cameras)


def dry_run(wishes: Wishes, settings: Settings) -> Result:
    """What ``process`` would do; changes nothing."""
    if wishes.windows:
        windows_file.read(wishes.windows)
    planned = _plan(wishes, settings)
    start.engine_name(wishes.engine, settings, choice.resolve(settings, inventory.look()))
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
        # what a person holds back is no failure of a scan
        mine = {job.id: job for job in jobs if named or job.state.status != "Held"}
        if not named:
            mine |= {job.id: job for job in ledger.jobs("Waiting", "Started") if wishes.cover(job)}
        run_or_follow(ledger, mine.keys(), observer, settings.retry_wait_s, most=wishes.max_jobs)
        ended = [ledger.job(number) for number, job in mine.items() if named or job.state.status not in ENDED]
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
    if not wishes.paths and not exists(settings.subjects_dir):
        raise UserError(
            "settings.invalid",
            f"there is no subjects folder {settings.subjects_dir}",
            "Mount it, or set subjects_dir (IBLVIDEO_ADMIN_SUBJECTS_DIR).",
        )
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
    problems += [Problem.of(_held(job, job.state)) for job in jobs if isinstance(job.state, Held)]
    return (FAILED if problems else 0), tuple(problems)


def _held(job: Job, state: Held) -> UserError:
    why = f": {state.because}" if state.because else ""
    held = f"job {job.id} ({job.session} {job.camera}) is held{why}"
    return UserError("queue.held", held, f"`iblvideo-admin queue release {job.id}`")


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
    if not exists(settings.state_dir / "ledger.sqlite"):
        return {}
    frames: dict[str, int] = {}
    spent: dict[str, float] = {}
    with Ledger(settings.state_dir) as ledger:
        for job in ledger.jobs("Complete"):
            if isinstance(job.state, Complete) and job.state.frames:
                frames[job.camera] = frames.get(job.camera, 0) + job.state.frames
                spent[job.camera] = spent.get(job.camera, 0.0) + job.state.seconds
    return {camera: frames[camera] / spent[camera] for camera in frames if spent[camera] > 0}
