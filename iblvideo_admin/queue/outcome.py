"""A job's result as ``result.json`` holds it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json, write_json
from iblvideo_admin.queue.job import JobPaths, is_number
from iblvideo_admin.queue.states import Abandoned, Complete, Errored, State

COMPLETE, TRY_AGAIN, FINAL = 0, 75, 1


@dataclass(frozen=True)
class JobResult:
    """What became of a job; ``status`` is Complete, Errored or Abandoned."""

    status: str
    started: float
    ended: float
    code: str = ""
    message: str = ""
    remedy: str = ""
    transient: bool = False
    frames: int = 0
    fps: float = 0.0
    sha256: str = ""
    output: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The contract's exit status of ``run-job``."""
        if self.status == "Complete":
            return COMPLETE
        return TRY_AGAIN if self.transient else FINAL

    def as_state(self) -> State:
        """The state in the ledger that says the same."""
        if self.status == "Complete":
            spent = round(self.ended - self.started, 2)
            return Complete(self.ended, self.frames, self.fps, spent, self.sha256, self.warnings)
        if self.status == "Abandoned":
            return Abandoned(self.ended, self.message)
        return Errored(self.ended, self.code, self.message, self.remedy)

    def write(self, paths: JobPaths) -> None:
        """Rename it into place.  Raises OSError."""
        write_json(paths.result, asdict(self))


def read_result(paths: JobPaths) -> JobResult | None:
    """The result of a job; None while there is none, or where it is damaged."""
    content = read_json(paths.result) or {}
    known = JobResult.__dataclass_fields__
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in content.items() if key in known}
    try:
        result = JobResult(**values)
    except TypeError:  # a field is missing
        return None
    return result if _is_sound(result) else None


def failed(error: UserError, started: float) -> JobResult:
    """The result of a job that ended with an error."""
    return JobResult(
        "Errored",
        started,
        time.time(),
        code=error.code,
        message=error.message,
        remedy=error.remedy,
        transient=error.transient,
    )


def _is_sound(result: JobResult) -> bool:
    """Whether every field is what it should be: the ledger and all that reads it rely on that."""
    numbers = (result.started, result.ended, result.frames, result.fps)
    texts = (result.code, result.message, result.remedy, result.sha256, result.output, *result.warnings)
    return (
        result.status in ("Complete", "Errored", "Abandoned")
        and bool(result.code) == (result.status == "Errored")
        and isinstance(result.warnings, tuple)
        and all(map(is_number, numbers))
        and all(isinstance(text, str) for text in texts)
    )
