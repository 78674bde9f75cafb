"""One job in this process: what a worker starts as a child.

The lease on the job, the video and the device are descriptors that the engine's process inherits, so that they
end with the last process that uses them.
"""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from iblvideo_admin import interruption
from iblvideo_admin.engines import start
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import no_link
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.queue import room
from iblvideo_admin.queue.job import JobPaths, Request
from iblvideo_admin.queue.lease import LOCK_VARIABLE, Lease, make_folder
from iblvideo_admin.queue.outcome import JobResult, failed
from iblvideo_admin.queue.reporter import Reporter
from iblvideo_admin.sessions import Video, require_inside
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain
from iblvideo_admin.tracking import table, windows_file
from iblvideo_admin.tracking.track import Tracked, track
from iblvideo_admin.tracking.windows_file import Points

_LEASE_S = 1.0  # who only looks whether a lease is taken holds it for a moment


def run_job(folder: Path, settings: Settings) -> JobResult:
    """Run a job and write its result.  Raises ``queue.job_unknown`` for a folder that is none.

    Whatever goes wrong with the job is in the result; only an interruption leaves none, and a disk that does not
    take it (``disk.full``, ``state.not_usable``).
    """
    paths = JobPaths(folder)
    request = paths.read_request()
    started = time.time()
    lock = _own_lock(paths)
    if lock is None:  # whoever runs it writes its result
        return failed(UserError("queue.busy", f"job {folder.name} is run by another process"), started)
    with lock:
        result = _result(paths, request, settings, lock, started)
        try:
            result.write(paths)
        except OSError as error:
            raise (_no_room(error) or UserError("state.not_usable", f"{paths.result}: {error.strerror}")) from error
    return result


def _own_lock(paths: JobPaths) -> Lease | None:
    try:
        descriptor = int(os.environ.pop(LOCK_VARIABLE, ""))
    except ValueError:
        descriptor = -1
    return (Lease.inherited(paths.lock, descriptor) if descriptor > 2 else None) or Lease.take(paths.lock)


def _result(paths: JobPaths, request: Request, settings: Settings, lock: Lease, started: float) -> JobResult:
    try:
        with open(paths.log, "ab", opener=no_link) as log:
            tracked = _tracked(paths, request, settings, lock, log)
        return _complete(request, tracked, started)
    except UserError as error:
        return failed(error, started)
    except Exception as error:  # noqa: BLE001  a bug ends the job, not the worker; the trace is in the log
        traceback.print_exc()
        return failed(_no_room(error) or UserError("bug", f"{type(error).__name__}: {error}"), started)


def _tracked(paths: JobPaths, request: Request, settings: Settings, lock: Lease, log: IO[bytes]) -> Tracked | None:
    """Track the video under its leases; None where a table is there already that is not this wish's."""
    video = request.target()
    require_inside(video, settings.subjects_dir)
    if os.path.lexists(video.table):
        if (delivered := _delivered(video, request)) is not None:
            interruption.ignore()
            table.copy_provenance(video)  # the crash may have come before that
            return delivered
        if not request.overwrite:
            return None
    room.require(settings, video)
    cards = inventory.look()
    toolchain = start.chosen(request.engine, settings, choice.resolve(settings, cards))
    gpu = _card(settings, cards, toolchain)
    make_folder(settings.lock_dir)
    with _lease(settings, gpu or "cpu", "the device") as device, _video_lease(settings, video) as mine:
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
                    about={
                        **_about(toolchain, cards, gpu),
                        "job": {"folder": paths.folder.name, "token": request.token},
                    },
                    pictures=paths.folder,
                    progress=Reporter(paths),
                    placing=interruption.ignore,  # a table in its place has its result
                )
            except FileExistsError:  # somebody delivered it while we worked
                return None


def _delivered(video: Video, request: Request) -> Tracked | None:
    """What an earlier attempt at this very wish put into place before it was killed."""
    if not request.token:
        return None
    try:
        made = table.provenance_of(video.table)
        if made is None or made["job"]["token"] != request.token:
            return None
        frames, tracking = int(made["video"]["frames"]), float(made["seconds"]["tracking"])
        spent = sum(map(float, made["seconds"].values()))
        digest, warnings = table.sha256_of(video), tuple(map(str, made["warnings"]))
    except (OSError, ValueError, LookupError, TypeError):  # no table of ours, whatever it is
        return None
    return Tracked(frames, spent, frames / max(tracking, 1e-9), digest, warnings)


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


def _lease(settings: Settings, name: str, what: str) -> Lease:
    end = time.monotonic() + _LEASE_S
    while (lease := Lease.take(settings.lock_dir / name)) is None:
        if time.monotonic() > end:
            raise UserError("queue.busy", f"{what} is in use by another process")
        time.sleep(0.05)
    return lease


@contextmanager
def _video_lease(settings: Settings, video: Video) -> Iterator[Lease]:
    lease = _lease(settings, video.key, str(video.path))
    try:
        yield lease
    finally:
        lease.discard()


def _card(settings: Settings, cards: Inventory, toolchain: Toolchain) -> str:
    """The UUID of the card to use; empty for a toolchain without GPU.  Raises ``gpu.lost`` or ``engine.failed``."""
    if not toolchain.needs_gpu:
        return ""
    mine = choice.allowed(settings, cards)
    if not mine and cards.problem is not None:
        raise UserError("gpu.lost", f"the driver tells of no GPU: {cards.problem}")
    unsuitable = choice.unsuitable(toolchain, mine)
    for gpu in mine:
        if gpu not in unsuitable:
            return gpu.uuid
    if any(gpu.lost for gpu in mine):
        raise UserError(
            "gpu.lost", f"the driver has lost {', '.join(gpu.name or gpu.uuid for gpu in mine if gpu.lost)}"
        )
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
