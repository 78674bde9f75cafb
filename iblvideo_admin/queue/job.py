"""A job's folder ``<state_dir>/jobs/<id>/``: one class owns every file name in it.

``job.json`` is what was asked; ``result.json``, renamed into place, is the truth about what became of it; the
rest are hints for people.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import make_alike, no_link, read_json, sync_folder, temporary_of, write_json
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.windows_file import Points

SCHEMA = 1
_REMOVED = ".removed-"


@dataclass(frozen=True)
class Request:
    """What a job is to do.

    ``token`` is this wish's own name.  It goes into the provenance of the table, so that whoever finds the table
    in its place knows whether this very wish was fulfilled.
    """

    video: str
    engine: str = "auto"
    overwrite: bool = False
    windows: Points | None = None
    schema: int = field(default=SCHEMA)
    token: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)

    def target(self) -> Video:
        """The video that is meant."""
        return Video.at(Path(self.video))


@dataclass(frozen=True)
class JobPaths:
    """The files of a job."""

    folder: Path

    @property
    def request(self) -> Path:
        """What was asked."""
        return self.folder / "job.json"

    @property
    def result(self) -> Path:
        """What became of it; its presence is the truth."""
        return self.folder / "result.json"

    @property
    def progress(self) -> Path:
        """How far it is, at most twice a second."""
        return self.folder / "progress.json"

    @property
    def log(self) -> Path:
        """What the job and its engine printed."""
        return self.folder / "log"

    @property
    def lock(self) -> Path:
        """Held by whoever runs the job."""
        return self.folder / "lock"

    def make(self, request: Request) -> None:
        """The folder with what is asked.  Raises ``state.not_usable``."""
        try:
            make_alike(self.folder)
            if self.folder.is_symlink():  # whoever may write in the state folder decides no path
                raise NotADirectoryError(errno.ENOTDIR, "it is a link", str(self.folder))
            self.write_request(request)
            sync_folder(self.folder.parent)
        except OSError as error:
            raise UserError("state.not_usable", f"{self.folder} cannot be written: {error.strerror}") from error

    def write_request(self, request: Request) -> None:
        """Store what is asked."""
        write_json(self.request, asdict(request))

    def read_request(self) -> Request:
        """What was asked.  Raises ``queue.job_unknown`` for a folder that is no job's."""
        content = read_json(self.request)
        try:
            return _request(content or {})
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError("queue.job_unknown", f"{self.folder} is not a job's folder") from None

    def read_progress(self) -> dict[str, Any] | None:
        """How far it is; None while nobody said, or where what was said is damaged."""
        content = read_json(self.progress) or {}
        numbers = [content.get(name) for name in ("done", "total", "fps", "written")]
        if content.get("eta_s") is not None:
            numbers.append(content["eta_s"])
        return content if all(is_number(number) for number in numbers) else None

    def set_aside(self, attempt: int) -> None:
        """Keep the result of an earlier attempt under its number; its progress, whole or not, is of no use.

        Raises ``state.not_usable``.
        """
        try:
            if self.result.exists():
                os.replace(self.result, self.folder / f"result.{attempt}.json")
                sync_folder(self.folder)
            for path in (self.progress, temporary_of(self.progress)):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError("state.not_usable", f"{self.folder} cannot be written: {error.strerror}") from error

    def temporary(self) -> list[Path]:
        """What is there of files that a crash kept from being renamed into place."""
        return [path for path in map(temporary_of, (self.request, self.result, self.progress)) if os.path.lexists(path)]

    def cut_log(self, limit: int) -> None:
        """Keep the beginning and the end of a log that has grown too long; who writes to it goes on at its end."""
        try:
            if (size := self.log.stat().st_size) <= limit:
                return
            with open(self.log, "r+b", opener=no_link) as file:
                begin = file.read(limit // 8)
                file.seek(size - limit // 4)
                end = file.read(limit // 4)
                file.seek(0)
                file.truncate()
                file.write(begin + f"\n... {size - len(begin) - len(end)} bytes left out ...\n".encode() + end)
        except OSError:  # a full disk: there will be another time
            return

    def set_folder_aside(self) -> None:
        """Rename the folder, for :func:`remove_set_aside`.  Raises ``state.not_usable``."""
        try:
            os.replace(self.folder, self.folder.with_name(f"{_REMOVED}{self.folder.name}-{uuid.uuid4().hex}"))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError("state.not_usable", f"{self.folder}: {error.strerror}") from error


def _request(content: dict[str, Any]) -> Request:
    windows = content.get("windows")
    points = {str(name): (float(x), float(y)) for name, (x, y) in windows.items()} if windows else None
    video, engine, token = content["video"], content.get("engine", "auto"), content.get("token", "")
    if not (isinstance(video, str) and isinstance(engine, str) and isinstance(token, str)):
        raise TypeError
    return Request(video, engine, bool(content.get("overwrite")), points, token=token)


def is_number(value: object) -> bool:
    """Whether it is a finite number, which is what a document can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def job_folder(state_dir: Path, number: int) -> JobPaths:
    """The folder of a job."""
    return JobPaths(state_dir / "jobs" / f"{number:06d}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def remove_set_aside(state_dir: Path) -> None:
    """Remove the folders that were set aside, also those that a crash has left."""
    for folder in (state_dir / "jobs").glob(f"{_REMOVED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def job_folders(state_dir: Path) -> dict[int, JobPaths]:
    """All folders that are called as a job's, by number."""
    with os.scandir(state_dir / "jobs") as entries:
        names = {
            entry.name for entry in entries if entry.name.isascii() and entry.name.isdecimal() and _is_folder(entry)
        }
    folders = {int(name): job_folder(state_dir, int(name)) for name in sorted(names)}
    return {number: paths for number, paths in folders.items() if paths.folder.name in names}
