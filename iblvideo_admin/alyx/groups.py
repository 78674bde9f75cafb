"""A task is a group of jobs, one for each camera: how it becomes jobs, and what their ends make of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iblvideo_admin.alyx import words
from iblvideo_admin.alyx.book import Book, Task, TaskCamera
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.session_rows import Remote, SessionRow
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands
from iblvideo_admin.queue import plan as planning
from iblvideo_admin.queue.ledger import Job
from iblvideo_admin.queue.outcome import read_result
from iblvideo_admin.queue.states import ENDED, Abandoned, Complete, Errored
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video, require_inside
from iblvideo_admin.settings import Settings
from iblvideo_admin.tracking import table

_TAIL = 20_000  # bytes of each job's log


@dataclass
class Group:
    """What is to be done for a task: videos to track, tables that are there, and cameras that cannot be had."""

    track: list[Video] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    fetch: dict[str, Remote] = field(default_factory=dict)
    refused: dict[str, UserError] = field(default_factory=dict)


def plan(row: dict[str, Any], session: SessionRow, settings: Settings) -> Group:
    """Look at the session's folder.  Cameras that a task does not name count only where they have a video."""
    group = Group()
    folder = session.folder(settings.subjects_dir)
    named = cameras_of(row)
    for name in named or CAMERAS:
        camera = CAMERAS.get(name)
        if camera is None:
            group.refused[name] = UserError("video.missing", f"there is no camera {name} on a rig of ours")
            continue
        video = Video(folder, camera)
        if os.path.lexists(video.table):
            group.there.append(name)
        elif video.path.is_file():
            try:
                require_inside(video, settings.subjects_dir)
                group.track.append(video)
            except UserError as error:
                group.refused[name] = error
        elif name in session.remote and settings.alyx_downloads:
            group.fetch[name] = session.remote[name]
        elif name in session.remote or named:
            more = "; the data server has it, but alyx_downloads is false" if name in session.remote else ""
            group.refused[name] = UserError("video.missing", f"there is no {video.path}{more}")
    return group


def cameras_of(row: dict[str, Any]) -> tuple[str, ...]:
    """The cameras that a task names; none where it names none."""
    arguments = row.get("arguments")
    named = arguments.get("cameras") if isinstance(arguments, dict) else None
    return tuple(dict.fromkeys(map(str, named))) if isinstance(named, list) else ()


def keep_protected(group: Group, client: Client) -> None:
    """Leave alone what is protected in Alyx: asked before hours of work, not after.  Raises TroubleError."""
    for video in list(group.track):
        if client.protected(video.table):
            group.track.remove(video)
            error = UserError("alyx.protected", f"{video.table.name} is protected in Alyx")
            group.refused[video.camera.name] = error


def enter(book: Book, task: Task, group: Group) -> None:
    """Make or find the jobs; from here on the queue does the rest."""
    ledger = book.ledger
    with ledger.transaction():
        for video in group.track:
            before = ledger.job_of(video)
            (job,) = planning.enter([video], ledger, named=True)
            made = before is None or before.state.status in ENDED
            book.add_camera(TaskCamera(task.id, video.camera.name, job.id, made, "", ""))
        for name in group.there:
            book.add_camera(TaskCamera(task.id, name, None, False, "", planning.HAS_TABLE))
        for name, error in group.refused.items():
            book.add_camera(TaskCamera(task.id, name, None, False, error.code, error.message))
        book.set_phase(task.id, "tracking")


def leave(book: Book, task: Task, because: str) -> None:
    """Somebody has taken the task away: stop what runs for it alone, and tell Alyx nothing."""
    with book.ledger.transaction():
        for camera in book.cameras(task.id):
            if camera.job is None or not camera.made or book.is_wanted_by_another(camera.job, task.id):
                continue
            if book.ledger.job(camera.job).state.status not in ENDED:
                hands.cancel(book.ledger, camera.job)
        book.set_phase(task.id, "left", because)


def finish(book: Book, task: Task, secrets: list[str]) -> bool:
    """Post what is to be told once every job has ended; False while one has not."""
    cameras = book.cameras(task.id)
    jobs = {c.camera: book.ledger.job(c.job) for c in cameras if c.job is not None}
    if any(job.state.status not in ENDED for job in jobs.values()):
        return False
    outcomes = {c.camera: _outcome(c, jobs.get(c.camera)) for c in cameras}
    log = "\n".join(_told(book, c, jobs.get(c.camera), outcomes[c.camera]) for c in cameras)
    with book.ledger.transaction():
        for name, (status, _) in outcomes.items():
            if status == "Complete":
                path = str(Video(Path(task.folder), CAMERAS[name]).table)
                book.post(task.id, "register", {"camera": name, "path": path})
        end = {
            "outcomes": outcomes,
            "seconds": round(sum(_seconds(book, job) for job in jobs.values()), 1),
            "log": words.bounded(words.clean(log, secrets)),
        }
        book.post(task.id, "status", end)
        book.post(task.id, "children", {})
        book.set_phase(task.id, "ended")
    return True


def end_status(outcomes: dict[str, Any]) -> str:
    """Complete if all are, Incomplete if some, Empty if there was no video, Errored if none is."""
    statuses = [status for status, _ in outcomes.values()]
    if not [status for status in statuses if status != "Missing"]:
        return "Empty"
    done = [status == "Complete" for status in statuses]
    if all(done):
        return "Complete"
    if any(done):
        return "Incomplete"
    return "Abandoned" if set(statuses) <= {"Abandoned", "Missing"} else "Errored"


def version_of(path: Path) -> str | None:
    """What to register as a table's version: who made it, by its own metadata; None for a table that others made."""
    try:
        made = table.provenance_of(path)
        return None if made is None else words.version(str(made["weights"]["version"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _outcome(camera: TaskCamera, job: Job | None) -> tuple[str, str]:
    if job is None:
        if not camera.code:
            return "Complete", camera.message
        return ("Missing" if camera.code == "video.missing" else "Errored"), f"{camera.code}: {camera.message}"
    state = job.state
    if isinstance(state, Complete):
        return "Complete", "; ".join(state.warnings)
    if isinstance(state, Errored):
        return "Errored", f"{state.code}: {state.message}"
    return ("Abandoned" if isinstance(state, Abandoned) else "Errored"), getattr(state, "because", "")


def _told(book: Book, camera: TaskCamera, job: Job | None, outcome: tuple[str, str]) -> str:
    """A camera's part of the task's log: how it ended, and the end of what the job printed."""
    head = f"{camera.camera}: {outcome[0]}" + (f" ({outcome[1]})" if outcome[1] else "")
    if job is None:
        return head
    try:
        with open(book.ledger.paths(job.id).log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _TAIL, 0))
            printed = file.read().decode("utf-8", "replace")
    except OSError:
        printed = ""
    return f"{head}\n{printed}"


def _seconds(book: Book, job: Job) -> float:
    result = read_result(book.ledger.paths(job.id))
    return max(result.ended - result.started, 0.0) if result is not None else 0.0
