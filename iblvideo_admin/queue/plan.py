"""From paths to work: which videos become jobs, and why the others do not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import Request
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.sessions import Video, find_videos, require_inside
from iblvideo_admin.settings import Settings
from iblvideo_admin.tracking.windows_file import Points

HAS_TABLE = "has a table already"


@dataclass(frozen=True)
class Skipped:
    """A video that does not become a job; ``problem`` where that is a failure."""

    video: Video
    because: str
    problem: UserError | None = None


@dataclass(frozen=True)
class Plan:
    """Videos to be tracked, and those that are not."""

    wanted: tuple[Video, ...]
    skipped: tuple[Skipped, ...]


def plan(
    paths: Iterable[Path], settings: Settings, *, cameras: Iterable[str] = (), since: str = "", overwrite: bool = False
) -> Plan:
    """Look at every path and decide; reads no video.  Raises the ``path.`` errors of what was typed."""
    chosen = set(cameras)
    videos: dict[Path, Video] = {}
    for path in paths:
        for video in find_videos(path, chosen):
            videos.setdefault(video.path, video)
    wanted: list[Video] = []
    skipped: list[Skipped] = []
    for video in videos.values():
        if video.date < since or (chosen and video.camera.name not in chosen):
            continue
        try:
            require_inside(video, settings.subjects_dir)
        except UserError as error:
            skipped.append(Skipped(video, error.message, error))
            continue
        if os.path.lexists(video.table) and not overwrite:
            skipped.append(Skipped(video, HAS_TABLE))
        else:
            wanted.append(video)
    return Plan(tuple(wanted), tuple(skipped))


def enter(
    videos: Iterable[Video],
    ledger: Ledger,
    *,
    engine: str = "auto",
    overwrite: bool = False,
    windows: Mapping[str, Points] | None = None,
    named: bool = True,
) -> list[Job]:
    """Make or find the job of each video.

    ``named`` says that a person named these videos: jobs that failed before are then tried again.  A scan of
    the whole subjects folder leaves them alone.
    """
    jobs = []
    for video in videos:
        request = Request(str(video.path), engine, overwrite, (windows or {}).get(video.camera.name))
        with ledger.transaction():  # another process may be entering the same video
            jobs.append(_entered(video, request, ledger, named))
    return jobs


def _entered(video: Video, request: Request, ledger: Ledger, named: bool) -> Job:
    job = ledger.job_of(video)
    if job is None:
        return ledger.add(video, request)
    status = job.state.status
    if status == "Complete" and not request.overwrite and os.path.lexists(video.table):
        return job  # another worker delivered it since we looked
    if status == "Complete" or (named and status in ("Errored", "Abandoned")):
        return ledger.again(job, request, "asked for again" if named else "its table is gone")
    if status in ("Waiting", "Held") and request != Request(request.video):  # how it is to be done was said anew
        ledger.paths(job.id).write_request(request)
    return job
