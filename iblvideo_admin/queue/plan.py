"""From paths to work: which videos become jobs, and why the others do not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths, Request
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
    paths: Iterable[Path],
    settings: Settings,
    *,
    cameras: Iterable[str] = (),
    since: str = "",
    overwrite: bool = False,
    below: str = "",
    unrest: Callable[[Video], str] = lambda _: "",
) -> Plan:
    """Look at every path and decide; reads no video.

    ``below`` is a version of the weights: videos are wanted whose table older ones made.  ``unrest`` says why a video
    is not to be taken yet.  Raises the ``path.`` errors of what was typed, and ``usage`` for a strange version.
    """
    chosen = set(cameras)
    version = _version(below) if below else None
    if below and version is None:
        raise UserError("usage", f"{below!r} is no version of weights", "Name one as in 2.2.")
    videos: dict[Path, Video] = {}
    for path in paths:
        for video in find_videos(path, chosen):
            videos.setdefault(video.path, video)
    wanted: list[Video] = []
    skipped: list[Skipped] = []
    for video in videos.values():
        if video.date < since or (chosen and video.camera.name not in chosen):
            continue
        if because := _why_not(video, overwrite, version):
            skipped.append(Skipped(video, because))
            continue
        try:
            require_inside(video, settings.subjects_dir)
        except UserError as error:
            skipped.append(Skipped(video, error.message, error))
            continue
        if because := unrest(video):
            skipped.append(Skipped(video, because))
        else:
            wanted.append(video)
    return Plan(tuple(wanted), tuple(skipped))


def _why_not(video: Video, overwrite: bool, below: tuple[int, ...] | None) -> str:
    """Why a video is not wanted, by its table; empty where it is."""
    has_table = os.path.lexists(video.table)
    if below is None:
        return HAS_TABLE if has_table and not overwrite else ""
    if not has_table:
        return "has no table that older weights could have made"
    from iblvideo_admin.tracking import table

    try:
        made = table.provenance_of(video.table)
        used = _version(str((made or {})["weights"]["version"]))
    except (OSError, ValueError, LookupError, TypeError):
        used = None
    if used is None:
        return "has a table of which nobody knows which weights made it"
    return "" if used < below else f"has a table of weights {'.'.join(map(str, used))}"


def _version(text: str) -> tuple[int, ...] | None:
    """MAJOR.MINOR, as in 2.2 or in the folder's name weights_v2.2; None where it holds none."""
    match = re.search(r"(?:^|_v|v)([0-9]+)\.([0-9]+)\Z", text)
    return (int(match[1]), int(match[2])) if match else None


def enter(
    videos: Iterable[Video],
    ledger: Ledger,
    *,
    engine: str = "auto",
    overwrite: bool = False,
    windows: Mapping[str, Points] | None = None,
    named: bool = True,
    priority: int = 0,
) -> list[Job]:
    """Make or find the job of each video.

    ``named`` says that a person named these videos: jobs that failed before are then tried again.  A scan of
    the whole subjects folder leaves them alone.
    """
    jobs = []
    for video in videos:
        request = Request(str(video.path), engine, overwrite, (windows or {}).get(video.camera.name))
        with ledger.transaction():  # another process may be entering the same video
            jobs.append(_entered(video, request, ledger, named, priority))
    return jobs


def unknown(videos: Iterable[Video], ledger: Ledger) -> list[Video]:
    """Of many videos those of which the ledger has something to learn: cheap, where nearly all are known."""
    known = ledger.statuses()
    return [video for video in videos if known.get(str(video.path)) in (None, "Complete")]


def _entered(video: Video, request: Request, ledger: Ledger, named: bool, priority: int) -> Job:
    job = ledger.job_of(video)
    if job is None:
        return ledger.add(video, request, priority=priority)
    if priority and priority > job.priority:  # 0: nothing was said of it
        job = ledger.mark(job.id, priority=priority)
    status = job.state.status
    if status == "Complete" and not request.overwrite and os.path.lexists(video.table):
        return job  # another worker delivered it since we looked
    if status == "Complete" or (named and status in ("Errored", "Abandoned")):
        return ledger.again(job, request, "asked for again" if named else "its table is gone")
    paths = ledger.paths(job.id)
    if status in ("Waiting", "Held") and request not in (Request(request.video), _asked(paths)):
        paths.make(request)  # how it is to be done was said anew
    return job


def _asked(paths: JobPaths) -> Request | None:
    try:
        return paths.read_request()
    except UserError:  # damaged: written anew
        return None
