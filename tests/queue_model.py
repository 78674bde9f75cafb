"""A stand-in for a job's process, one for the server's devices, and what a job must be, whatever happens to it."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import lease
from iblvideo_admin.queue.devices import Device
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.outcome import JobResult, failed
from iblvideo_admin.settings import Settings

SUBJECTS = ("A", "B", "C")
# what a repair, a person or a worker writes over a row, whatever the table of transitions says
CORRECTIONS = {"as its result says", "its result is gone", "entered from its folder", "to be tried at once"}
ENDINGS = ("complete", "final", "transient", "busy", "disk.full", "signal", "interrupted")
_ERRORS = {"final": "video.corrupt", "transient": "engine.crashed", "busy": "queue.busy", "disk.full": "disk.full"}


class Process:
    """Stands in for a job's process: holds its locks until it is told how it ends."""

    alive: ClassVar[dict[Path, Process]] = {}
    numbers = itertools.count(2**23)  # no process has them

    def __init__(self, paths: JobPaths, lock: Lease, settings: Settings, gpus: str, speed: float | None) -> None:
        self.paths, self.pid, self.why = paths, next(self.numbers), None
        self._status: int | None = None
        self._lock = os.dup(lock.descriptor)
        self._device = Lease.take(settings.lock_dir / gpus)
        assert self._device is not None, "two processes at one device"
        assert paths.folder not in self.alive, "two processes on one job"
        self.alive[paths.folder] = self

    def status(self) -> int | None:
        return self._status

    def look(self) -> None:
        return None

    def end(self, why: UserError | None = None) -> None:
        """It does so when the test says how."""

    def wait(self, _: float) -> bool:
        return self._status is not None

    def kill(self) -> None:
        self.ends("signal")

    def ends(self, ending: str) -> None:
        """Write what ``run-job`` writes, and go."""
        if self._status is not None:
            return
        result = JobResult("Complete", 1.0, time.time(), frames=3) if ending == "complete" else None
        if ending in _ERRORS:
            result = failed(UserError(_ERRORS[ending], "m"), 1.0)
        if result is not None:
            result.write(self.paths)
        self._status = {"signal": -9, "interrupted": 75}.get(ending, result.exit_code if result else 0)
        os.close(self._lock)
        assert self._device is not None
        self._device.release()
        del self.alive[self.paths.folder]


class Devices:
    """Stands in for the driver: two GPUs, of which one is free while no process computes there."""

    @classmethod
    def now(cls, settings: Settings) -> Devices:
        cls.settings = settings
        return cls()

    def devices(self) -> tuple[Device, ...]:
        return (Device("gpu-0", "gpu-0"), Device("gpu-1", "gpu-1"))

    def why_not(self, device: Device) -> str:
        return "in use" if lease.is_taken(self.settings.lock_dir / device.key) else ""


@dataclass
class Model:
    """What a job must be; ``seen`` are the ends that were tried, and what became of them."""

    seen: ClassVar[set[tuple[str, str]]] = set()

    status: str = "Waiting"
    attempts: int = 0
    deaths: int = 0
    wish: str = ""
    priority: int = 0
    pruned: bool = False
    result: str = ""  # what its folder says for good
    ending: str = ""  # how its process ended, where nobody has entered that yet
    until: float = 0.0

    def becomes(self, status: str, attempts: int = 0, deaths: int = 0) -> None:
        self.status, self.ending = status, ""
        self.attempts += attempts
        self.deaths += deaths
        if status != "Started":
            self.wish = ""
        self.result = status if status in ("Complete", "Abandoned") else ""

    def settles(self, *, owned: bool) -> None:
        """An attempt counts where the job itself failed, while its worker lived; a wish is fulfilled."""
        cancelled, ending = self.wish == "cancel", self.ending
        self._settle(ending, cancelled, owned=owned)
        self.seen.add(("cancelled " * cancelled + (ending or "gone") + " unseen" * (not owned), self.status))

    def _settle(self, ending: str, cancelled: bool, *, owned: bool) -> None:
        if ending == "complete":
            self.becomes("Complete")
        elif ending == "final":
            self.becomes("Errored", attempts=1)
            self.result = "Errored"
        elif cancelled:
            self.becomes("Abandoned")
        elif ending == "transient":
            self.becomes("Waiting" if self.attempts < 2 else "Errored", attempts=1)
        elif ending == "signal" and owned:
            status = "Held" if self.deaths else ("Waiting" if self.attempts < 2 else "Errored")
            self.becomes(status, attempts=1, deaths=1)
        else:
            self.becomes("Waiting")

    def anew(self) -> None:
        """Asked for again, as if it had never been tried."""
        self.status, self.attempts, self.deaths, self.wish, self.result, self.pruned = "Waiting", 0, 0, "", "", False

    def is_entered_from_its_folder(self) -> None:
        """The ledger was lost: what is not there for good waits."""
        if self.status == "Started" and self.ending in ("complete", "final"):
            self.result = "Complete" if self.ending == "complete" else "Errored"
        kept = self.result
        self.anew()
        self.status, self.result = kept or "Waiting", kept
        self.priority, self.ending, self.until = 0, "", 0.0
