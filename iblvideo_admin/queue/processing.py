"""What ``process`` does: plan, enter, run, and tell what became of every video."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.engines import start, weights
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.files import exists
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.queue import plan as planning
from iblvideo_admin.queue import repair
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.observer import Observer
from iblvideo_admin.queue.rest import Rest
from iblvideo_admin.queue.service import Service
from iblvideo_admin.queue.states import ENDED, Complete, Errored, Held
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.queue.worker import Worker
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings
from iblvideo_admin.tracking import windows_file
from iblvideo_admin.tracking.windows_file import Points

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
    below: str = ""
    priority: int = 0

    def cover(self, job: Job) -> bool:
        """Whether a job that is in the queue already is among what was asked for."""
        return job.date >= self.since and (not self.cameras or job.camera in self.cameras)

    def points(self) -> dict[str, Points] | None:
        """The windows' anchors by hand.  Raises ``windows.invalid``."""
        return windows_file.read(self.windows) if self.windows else None

    def plan(self, settings: Settings, rest: Rest) -> planning.Plan:
        """Which videos are meant, and why others are not.  Without paths the subjects folder is scanned."""
        named = bool(self.paths)
        if not named and not exists(settings.subjects_dir):
            raise UserError(
                "settings.invalid",
                f"there is no subjects folder {settings.subjects_dir}",
                "Mount it, or set subjects_dir (IBLVIDEO_ADMIN_SUBJECTS_DIR).",
            )
        try:
            return planning.plan(
                self.paths or (settings.subjects_dir,),
                settings,
                cameras=self.cameras,
                since=self.since,
                overwrite=self.overwrite and named,
                below=self.below,
                unrest=(lambda _: "") if named else rest.unrest,
            )
        except UserError as error:
            if named or error.code != "path.no_videos":
                raise
            return planning.Plan((), ())  # an empty subjects folder is no mistake of the user's

    def enter(
        self, videos: Iterable[Video], ledger: Ledger, points: dict[str, Points] | None, *, named: bool
    ) -> list[Job]:
        """Make or find their jobs."""
        return planning.enter(
            videos,
            ledger,
            engine=self.engine,
            overwrite=self.overwrite or bool(self.below),
            windows=points,
            named=named,
            priority=self.priority,
        )


def dry_run(wishes: Wishes, settings: Settings) -> Result:
    """What ``process`` would do; changes nothing."""
    wishes.points()
    planned = wishes.plan(settings, Rest(settings.rest_s))
    start.chosen(wishes.engine, settings, choice.resolve(settings, inventory.look()))
    days, unknown = _days(planned.wanted, settings)
    data = {
        "dry_run": True,
        "videos": [str(video.path) for video in planned.wanted],
        "skipped": [_skipped(skipped) for skipped in planned.skipped],
        "gpu_days": days,
        "gpu_days_unknown_for": unknown,
    }
    return Result(COMMAND, data, *failures(planned, []))


def process(wishes: Wishes, settings: Settings, observer: Observer) -> Result:
    """Queue the videos, run them here or follow the worker that lives already, and report each.

    Without paths the subjects folder is scanned and the whole queue is drained.
    """
    points = wishes.points()
    planned = wishes.plan(settings, Rest(settings.rest_s))
    require_ready(wishes, settings)
    named = bool(wishes.paths)
    ledger, changes = repair.open_repaired(settings)
    with ledger, Stop() as stop:
        videos = planned.wanted if named else planning.unknown(planned.wanted, ledger)
        jobs = wishes.enter(videos, ledger, points, named=named)
        # what a person holds back is no failure of a scan
        mine = {job.id: job for job in jobs if named or job.state.status != "Held"}
        if not named:
            mine |= {job.id: job for job in ledger.jobs("Waiting", "Started") if wishes.cover(job)}
        Worker(ledger, settings, observer, stop, only=mine.keys(), most=wishes.max_jobs).run()
        ended = [ledger.job(number) for number, job in mine.items() if named or job.state.status not in ENDED]
        held = ledger.held()
        data = {
            "jobs": [told(job) for job in ended],
            "skipped": [_skipped(skipped) for skipped in planned.skipped],
            "queue": ledger.counts(),
            "repaired": [change.as_data() for change in changes],
        }
    exit_code, problems = failures(planned, ended)
    if held is not None and any(job.state.status == "Waiting" for job in ended):
        problems = (*problems, Problem.of(UserError("queue.held", f"the queue is held {held}; nothing was started")))
        exit_code = FAILED
    return Result(COMMAND, data, exit_code, problems)


def watch(wishes: Wishes, load: Callable[[], Settings], observer: Observer) -> Result:
    """Do so until SIGTERM; ``load`` reads the settings, at SIGHUP once more."""
    points, settings = wishes.points(), load()
    require_ready(wishes, settings)
    with Stop() as stop:
        ledger, changes = repair.open_repaired(settings)
        for change in changes:
            observer.note(f"repaired: {change}")
        with ledger:
            service = Service(
                ledger, load, observer, wishes.plan, lambda v, to: wishes.enter(v, to, points, named=False), stop
            )
            return Result(
                COMMAND, {"watched": True, "queue": service.run(), "repaired": [c.as_data() for c in changes]}
            )


def add(wishes: Wishes, settings: Settings) -> Result:
    """Queue the videos that are named, and return."""
    points = wishes.points()
    planned = wishes.plan(settings, Rest(settings.rest_s))
    with Ledger(settings.state_dir) as ledger:
        jobs = wishes.enter(planned.wanted, ledger, points, named=True)
        data = {
            "jobs": [told(job) for job in jobs],
            "skipped": [_skipped(skipped) for skipped in planned.skipped],
            "held": ledger.held(),
        }
    return Result("queue add", data, *failures(planned, []))


def require_ready(wishes: Wishes, settings: Settings) -> None:
    """Refuse to touch the queue where no job at all could run.

    Raises ``toolchain.``, ``engine.`` or ``weights.missing``.
    """
    toolchain = start.chosen(wishes.engine, settings, choice.resolve(settings, inventory.look()))
    start.require_ready(settings, toolchain)
    errors: list[UserError] = []
    for camera in CAMERAS.values():
        try:
            weights.load(settings.weights_dir, weights.networks_of(camera))
        except UserError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def told(job: Job) -> dict[str, Any]:
    """A job as the user of ``process`` wants to see it."""
    state = job.state.as_data()
    told = {"id": job.id, "video": job.video, "session": job.session, "camera": job.camera, **state}
    if isinstance(job.state, Complete):
        told["output"] = str(Video.at(Path(job.video)).table)
    return told


def _skipped(skipped: planning.Skipped) -> dict[str, Any]:
    code = skipped.problem.code if skipped.problem else ""
    return {
        "video": os.fsencode(skipped.video.path).decode("utf-8", "backslashreplace"),
        "because": skipped.because,
        "code": code,
    }


def failures(planned: planning.Plan, jobs: list[Job]) -> tuple[int, tuple[Problem, ...]]:
    """The exit status, and every job and video that failed."""
    problems = [Problem.of(skipped.problem) for skipped in planned.skipped if skipped.problem]
    states = [job.state for job in jobs]
    problems += [Problem(s.code, s.message, s.remedy) for s in states if isinstance(s, Errored)]
    problems += [Problem.of(_held(job, job.state)) for job in jobs if isinstance(job.state, Held)]
    return (FAILED if problems else 0), tuple(problems)


def _held(job: Job, state: Held) -> UserError:
    why = f": {state.because}" if state.because else ""
    held = f"job {job.id} ({job.session} {job.camera}) is held{why}"
    return UserError("queue.held", held, f"`iblvideo-admin queue release {job.id}`")


def _days(videos: tuple[Video, ...], settings: Settings) -> tuple[float | None, list[str]]:
    """Days that this server would work, from its own frames/s per camera; and the cameras it has no figure for."""
    from iblvideo_admin.tracking.video import Reader

    speeds: dict[str, float] = {}
    if exists(settings.state_dir / "ledger.sqlite"):
        with Ledger(settings.state_dir) as ledger:
            speeds = ledger.speeds()
    unknown = sorted({video.camera.name for video in videos} - speeds.keys())
    seconds = 0.0
    for video in videos:
        if video.camera.name not in speeds:
            continue
        try:
            seconds += Reader(video.path).expected / speeds[video.camera.name]
        except UserError:  # it will be told when it is its turn
            continue
    return (round(seconds / 86400, 4) if speeds else None), unknown
