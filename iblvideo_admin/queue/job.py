"""A job's folder ``<state_dir>/jobs/<id>/``: one class owns every file name in it.

``job.json`` is what was asked; ``result.json``, renamed into place, is the truth about what became of it; the
rest are hints for people.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json, write_json
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.windows_file import Points

SCHEMA = 1


@dataclass(frozen=True)
class Request:
    """What a job is to do."""

    video: str
    engine: str = "auto"
    overwrite: bool = False
    windows: Points | None = None
    schema: int = field(default=SCHEMA)

    def target(self) -> Video:
        """The video that is meant."""
        return Video.at(Path(self.video))


@dataclass(frozen=True)
class JobPaths:
    """The files of a job."""

    folder: Path

    @property
    def request(self) -> Path:
        """What was asked; written once."""
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
        """Keep the result of an earlier attempt under its number."""
        if self.result.exists():
            os.replace(self.result, self.folder / f"result.{attempt}.json")
        self.progress.unlink(missing_ok=True)


def _request(content: dict[str, Any]) -> Request:
    windows = content.get("windows")
    points = {str(name): (float(x), float(y)) for name, (x, y) in windows.items()} if windows else None
    video, engine = content["video"], content.get("engine", "auto")
    if not (isinstance(video, str) and isinstance(engine, str)):
        raise TypeError
    return Request(video, engine, bool(content.get("overwrite")), points)


def is_number(value: object) -> bool:
    """Whether it is a finite number, which is what a document can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def job_folder(state_dir: Path, number: int) -> JobPaths:
    """The folder of a job."""
    return JobPaths(state_dir / "jobs" / f"{number:06d}")
