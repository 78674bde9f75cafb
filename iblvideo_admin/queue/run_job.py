"""One job in this process: what a worker starts as a child.

The lease on the job, the video and the device are descriptors that the engine's process inherits, so that they
end with the last process that uses them.
"""

from __future__ import annotations

import errno
import math
import os
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from iblvideo_admin import interruption
from iblvideo_admin.engines import start
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json, write_hint, write_json
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.queue.job import JobPaths, Request, is_number
from iblvideo_admin.queue.lease import Lease, make_folder
from iblvideo_admin.sessions import Video, require_inside
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain
from iblvideo_admin.tracking import windows_file
from iblvideo_admin.tracking.track import Progress, Tracked, track
from iblvideo_admin.tracking.windows_file import Points

COMPLETE, TRY_AGAIN, FINAL = 0, 75, 1
_WRITE_EVERY_S = 0.5


@dataclass(frozen=True)
class JobResult:
    """What became of a job; ``status`` is Complete or Errored."""

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


def _is_sound(result: JobResult) -> bool:
    """Whether every field is what it should be: the ledger and all that reads it rely on that."""
    numbers = (result.started, result.ended, result.frames, result.fps)
    texts = (result.code, result.message, result.remedy, result.sha256, result.output, *result.warnings)
    return (
        result.status in ("Complete", "Errored")
        and bool(result.code) == (result.status == "Errored")
        and isinstance(result.warnings, tuple)
        and all(map(is_number, numbers))
        and all(isinstance(text, str) for text in texts)
    )


def run_job(folder: Path, settings: Settings) -> JobResult:
    """Run a job and write its result.  Raises ``queue.job_unknown`` for a folder that is none.

    Whatever goes wrong with the job is in the result; only an interruption leaves none, and a disk that does not
    take it (``disk.full``, ``state.not_usable``).
    """
    paths = JobPaths(folder)
    request = paths.read_request()
    started = time.time()
    try:
        lock = Lease.take(paths.lock)
        if lock is None:
            raise UserError("queue.busy", f"job {folder.name} is run by another process")
        with lock, open(paths.log, "ab") as log:
            tracked = _tracked(paths, request, settings, lock, log)
        result = _complete(request, tracked, started)
    except UserError as error:
        result = failed(error, started)
    except Exception as error:  # noqa: BLE001  a bug ends the job, not the worker; the trace is in the log
        traceback.print_exc()
        result = failed(_no_room(error) or UserError("bug", f"{type(error).__name__}: {error}"), started)
    try:
        write_json(paths.result, asdict(result))
    except OSError as error:
        raise (_no_room(error) or UserError("state.not_usable", f"{paths.result}: {error.strerror}")) from error
    return result


def _tracked(paths: JobPaths, request: Request, settings: Settings, lock: Lease, log: IO[bytes]) -> Tracked | None:
    """Track the video under its leases; None where a table is there already."""
    video = request.target()
    require_inside(video, settings.subjects_dir)
    if os.path.lexists(video.table) and not request.overwrite:
        return None
    cards = inventory.look()
    toolchain = choice.resolve(settings, cards)
    start.engine_name(request.engine, settings, toolchain)
    gpu = _card(settings, cards, toolchain)
    make_folder(settings.lock_dir)
    with _lease(settings, video.key, f"{video.path}") as mine, _lease(settings, gpu or "cpu", "the device") as device:
        inherited = (lock.descriptor, mine.descriptor, device.descriptor)
        with start.start(settings, toolchain, log, gpu=gpu, lease=inherited) as engine:
            try:
                return track(
                    video,
                    engine,
                    settings.weights_dir,
                    by_hand=_windows(request, settings, video),
                    replace=request.overwrite,
                    even_offsets=settings.even_offsets,
                    about=_about(toolchain, cards, gpu),
                    pictures=paths.folder,
                    progress=_Reporter(paths),
                    placing=interruption.ignore,  # a table in its place has its result
                )
            except FileExistsError:  # somebody delivered it while we worked
                return None


def _complete(request: Request, tracked: Tracked | None, started: float) -> JobResult:
    output = str(request.target().table)
    if tracked is None:
        return JobResult(
            "Complete", started, time.time(), output=output, warnings=("a table was there already; it was not touched",)
        )
    return JobResult(
        "Complete",
        started,
        time.time(),
        frames=tracked.frames,
        fps=round(tracked.fps, 2),
        sha256=tracked.sha256,
        output=output,
        warnings=tracked.warnings,
    )


def _no_room(error: Exception) -> UserError | None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError("disk.full", f"there is no room left: {error}")
    return None


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


def _lease(settings: Settings, name: str, what: str) -> Lease:
    lease = Lease.take(settings.lock_dir / name)
    if lease is None:
        raise UserError("queue.busy", f"{what} is in use by another process")
    return lease


def _card(settings: Settings, cards: Inventory, toolchain: Toolchain) -> str:
    """The UUID of the card to use; empty for a toolchain without GPU.  Raises ``engine.failed``."""
    if not toolchain.needs_gpu:
        return ""
    mine = choice.allowed(settings, cards)
    unsuitable = choice.unsuitable(toolchain, mine)
    for gpu in mine:
        if gpu not in unsuitable:
            return gpu.uuid
    raise UserError("engine.failed", f"there is no GPU here that toolchain {toolchain.name} can use")


def _windows(request: Request, settings: Settings, video: Video) -> Points | None:
    if request.windows is not None:
        return request.windows
    if video.camera.name in settings.windows:
        return windows_file.checked(dict(settings.windows), "settings: windows")[video.camera.name]
    return None


def _about(toolchain: Toolchain, cards: Inventory, gpu: str) -> dict[str, Any]:
    used = next((card.as_data() for card in cards.gpus if card.uuid == gpu), None)
    return {"toolchain": toolchain.name, "gpu": used, "driver": cards.driver}


class _Reporter:
    """Writes progress.json at most twice a second."""

    def __init__(self, paths: JobPaths) -> None:
        self._path = paths.progress
        self._written = -math.inf
        self._stage, self._since = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._since = progress.stage, now
        if now - self._written < _WRITE_EVERY_S:
            return
        self._written = now
        fps = progress.done / (now - self._since) if now > self._since else 0.0
        write_hint(
            self._path,
            {
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "fps": round(fps, 2),
                "eta_s": round((progress.total - progress.done) / fps, 1) if fps else None,
                "written": time.time(),
            },
        )
