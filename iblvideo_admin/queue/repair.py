"""The ledger made to agree with the job folders, which are the truth; what was changed is told.

Every start does this.  A ledger that was lost or damaged is rebuilt from nothing; the queue is then held until a
person has looked.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths, job_folders, remove_set_aside
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.orphans import Orphans
from iblvideo_admin.queue.outcome import JobResult, read_result
from iblvideo_admin.queue.slots import has_worker
from iblvideo_admin.queue.states import ENDED, Started, Waiting
from iblvideo_admin.settings import Settings

_FILES = ("", "-wal", "-shm")


@dataclass(frozen=True)
class Change:
    """One thing that was not as the folders say: of which job (None: of all), and what was done about it."""

    job: int | None
    what: str

    def as_data(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return self.what if self.job is None else f"job {self.job}: {self.what}"


def open_repaired(settings: Settings) -> tuple[Ledger, list[Change]]:
    """The ledger of a server, sound and in agreement with the folders.  Raises ``state.not_usable``."""
    ledger, changes = _sound(settings.state_dir)
    try:
        return ledger, changes + repair(ledger, settings)
    except BaseException:
        ledger.close()
        raise


def repair(ledger: Ledger, settings: Settings) -> list[Change]:
    """Make every row say what its folder says.  Raises ``state.not_usable``."""
    folders = job_folders(ledger.state_dir)
    before = ledger.by_number()
    changes = [
        change for number in folders.keys() - before.keys() if (change := _enter(ledger, number, folders[number]))
    ]
    Orphans(ledger, settings, lambda job: _has_owner(ledger, job)).look()
    kept = ledger.unpruned()
    for number, status in ledger.by_number().items():
        if number in folders and status != "Started":
            _agree(ledger, number, status, folders[number])
        elif number not in folders and number in kept and status in ENDED:
            _without_folder(ledger, number)
    for paths in folders.values():
        _tidy(ledger, paths)
    remove_set_aside(ledger.state_dir)
    after = ledger.by_number()
    changes += [Change(n, f"{old} became {after[n]}") for n, old in before.items() if after.get(n, old) != old]
    return sorted(changes, key=lambda change: change.job or 0)


def _sound(state_dir: Path) -> tuple[Ledger, list[Change]]:
    """The ledger; a damaged one is kept aside, and a new one made."""
    path = state_dir / "ledger.sqlite"
    try:
        ledger = Ledger(state_dir)
        problem = ledger.damage()
        if not problem:
            return ledger, []
        ledger.close()
    except UserError as error:
        if "queue repair" not in error.remedy:
            raise
        problem = error.message
    workers = state_dir / "workers"
    if workers.is_dir() and any(has_worker(state_dir, lock.stem) for lock in workers.glob("*.lock")):
        raise UserError("state.not_usable", f"{path} is damaged, and a worker lives on it", "Stop the service first.")
    aside = f"damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    try:
        for ending in reversed(_FILES):  # the ledger itself last: until then it is found damaged once more
            if os.path.lexists(f"{path}{ending}"):
                os.replace(f"{path}{ending}", f"{path}{ending}.{aside}")
    except OSError as error:
        raise UserError("state.not_usable", f"{path} is damaged and cannot be renamed: {error.strerror}") from error
    return Ledger(state_dir), [Change(None, f"the ledger was damaged ({problem}); it is kept as {path.name}.{aside}")]


def _enter(ledger: Ledger, number: int, paths: JobPaths) -> Change | None:
    """A folder of which the ledger knows nothing: the crash came before it was entered, or the ledger was lost."""
    try:
        request = paths.read_request()
        video = request.target()
    except UserError:  # not even what was asked is there
        return None
    lock = Lease.take(paths.lock)
    if lock is None:  # its process lives: it will be entered when that has ended
        return None
    with lock, ledger.transaction():
        if (other := ledger.job_of(video)) is not None:
            if other.id == number or paths.result.exists():
                return None
            paths.set_folder_aside()
            return Change(number, f"its folder is removed: job {other.id} is for the same video")
        job = ledger.add(video, request, number=number)
        if (result := _final(paths)) is not None:
            job = ledger.correct(number, result.as_state(), "entered from its folder")
    return Change(number, f"entered as {job.state.status}")


def _agree(ledger: Ledger, number: int, status: str, paths: JobPaths) -> None:
    """A row of which the folder says something else."""
    result = _final(paths)
    if (result is None and (status not in ENDED or paths.result.exists())) or (
        result is not None and result.status == status
    ):
        return
    lock = Lease.take(paths.lock)
    if lock is None:  # whoever runs it will say what becomes of it
        return
    with lock, ledger.transaction():
        job = ledger.job(number)
        if job.state.status != status or job.pruned is not None or _final(paths) != result:
            return
        if result is not None:
            ledger.correct(number, result.as_state(), "as its result says")
        else:  # somebody asked for it again and was interrupted
            ledger.correct(number, Waiting(time.time(), because="its result is gone"), "its result is gone")


def _without_folder(ledger: Ledger, number: int) -> None:
    """An ended job whose folder is gone: it was being pruned, or somebody removed it."""
    with ledger.transaction():
        if ledger.job(number).state.status in ENDED and not ledger.paths(number).folder.exists():
            ledger.mark(number, pruned=time.time())


def _tidy(ledger: Ledger, paths: JobPaths) -> None:
    """Remove files that never got their name; whoever writes one holds the job's lock or the ledger's."""
    if not paths.temporary() or (lock := Lease.take(paths.lock)) is None:
        return
    with lock, ledger.transaction():
        for path in paths.temporary():
            path.unlink(missing_ok=True)


def _final(paths: JobPaths) -> JobResult | None:
    """A result after which nothing more is tried."""
    result = read_result(paths)
    return None if result is None or (result.status == "Errored" and result.transient) else result


def _has_owner(ledger: Ledger, job: Job) -> bool:
    return isinstance(job.state, Started) and has_worker(ledger.state_dir, job.state.device)
