"""The worker: takes jobs in order, runs each as a child at a device, and enters in the ledger what became of it.

Several workers may serve one state folder: each has its own devices (:mod:`queue.slots`), and a job is claimed in one
transaction.  A worker that has no device follows what the others do with its jobs.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from pathlib import Path

from iblvideo_admin import interruption
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import filesystem, room, settle
from iblvideo_admin.queue.child import GRACE_S, Child
from iblvideo_admin.queue.devices import Look
from iblvideo_admin.queue.following import Followed
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.observer import Observer
from iblvideo_admin.queue.orphans import Orphans
from iblvideo_admin.queue.outcome import failed
from iblvideo_admin.queue.slots import Slot, has_worker
from iblvideo_admin.queue.states import ENDED, Started, Waiting
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

LOOK_S = 0.2
_DEVICES_EVERY_S = 5.0
_FRESH_S = 2.0
_ORPHANS_EVERY_S = 0.5
_AGAIN_S, _BY_HAND_S = 5.0, 30.0
_TAKEN_WITHIN_S = 1.0


class Worker:
    """Runs jobs until none is left: all, or ``only`` those; at most ``most``.

    A ``patient`` one (the service) outlives whatever keeps it from working: it says why and tries again.  Others
    raise ``state.not_usable``.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        observer: Observer,
        stop: Stop,
        *,
        only: Collection[int] | None = None,
        most: int | None = None,
        patient: bool = False,
    ) -> None:
        filesystem.require_locks(ledger.state_dir)
        ledger.require_writable()
        self.settings = settings
        self.slots: dict[str, Slot] = {}
        self.trouble = ""  # why nothing can be done just now
        self.paused = ""  # why no job may be started, whatever the devices say
        self._nowhere = ""  # why there is no device for us
        self.token = uuid.uuid4().hex
        self._ledger, self._observer, self._stop = ledger, observer, stop
        self._only, self._most, self._patient = only, most, patient
        self._begun = 0
        self._locked_since: dict[int, float] = {}
        self._told = ""
        self._followed = Followed(ledger, only, observer, self._is_mine)
        self._orphans = Orphans(ledger, settings, self._has_owner)
        self._look: Look | None = None
        self._looked_at = self._devices_at = self._orphans_at = -float("inf")

    # ---------------------------------------------------------------------------------------- from the outside

    def run(self) -> None:
        """Work until :meth:`is_over`.  Raises KeyboardInterrupt after the running jobs went back to the queue."""
        try:
            while not self.is_over():
                self.turn()
                if self._stop.asked:
                    raise KeyboardInterrupt
                self._stop.wait(LOOK_S)
        finally:
            self.leave("interrupted")

    def turn(self, *, start: bool = True) -> None:
        """Look at everything once; ``start`` says whether new jobs may begin."""
        self.trouble = ""
        try:
            self._devices()
            self._settle_orphans()
            wishes = self._ledger.wishes() if self.running() else set()
            for slot in self.slots.values():
                self._serve(slot, wishes)
            if start:
                for slot in self.slots.values():
                    self._begin(slot)
            self._followed.look()
        except UserError as error:
            if not self._patient:
                raise
            self.trouble = error.message
        self._tell_idle()

    def is_over(self) -> bool:
        """Whether nothing is left to be done."""
        if self.running():
            return False
        if self._most is not None and self._begun + self._followed.ended >= self._most:
            return True
        coming = self._ledger.numbers("Waiting", "Started")
        mine = coming if self._only is None else coming.intersection(self._only)
        if self._ledger.hold_now() is not None:
            return not mine.intersection(self._ledger.numbers("Started"))
        return not mine

    def running(self) -> list[Slot]:
        """The devices at which jobs of ours run."""
        return [slot for slot in self.slots.values() if slot.running]

    def reason(self) -> str:
        """Why nothing runs, as far as it is known."""
        reasons = {slot.reason: f"{key}: {slot.reason}" for key, slot in self.slots.items() if slot.reason}
        return "" if self.running() else self.trouble or self._nowhere or "; ".join(reasons.values())

    def reload(self, settings: Settings) -> None:
        """Work on with other settings; running jobs end as they began."""
        self.settings = settings
        self._orphans = Orphans(self._ledger, settings, self._has_owner)
        self._look, self._devices_at = None, -float("inf")

    def leave(self, why: str) -> None:
        """End all running jobs within seconds, give them back, and leave the devices."""
        with interruption.ignored():  # somebody impatient must not leave a job half given back
            for slot in self.running():
                slot.end(why)
            until = time.monotonic() + GRACE_S
            for slot in self.running():
                assert slot.child is not None
                if not slot.child.wait(max(until - time.monotonic(), 0.0)):
                    slot.child.kill()
            try:
                for slot in self.running():
                    self._settle(slot, gone=True)
                self._ledger.forget_devices(self.slots)
            finally:
                for slot in self.slots.values():
                    slot.lease.release()
                self.slots.clear()

    # ---------------------------------------------------------------------------------------- devices and orphans

    def _devices(self) -> None:
        """Take the places that are free; leave those whose device is gone, once nothing runs there."""
        if time.monotonic() - self._devices_at < _DEVICES_EVERY_S:
            return
        self._devices_at = time.monotonic()
        devices = {device.key: device for device in self._fresh_look(0.0).devices()}
        for key, device in devices.items():
            if key not in self.slots and (slot := Slot.take(self._ledger, device)) is not None:
                self.slots[key] = slot
                slot.reason = "none yet"
                slot.tell(self._ledger, "")
        for key in [key for key, slot in self.slots.items() if key not in devices and not slot.running]:
            self._ledger.forget_devices([key])
            self.slots.pop(key).lease.release()
        self._nowhere = "" if self.slots or not self._patient else "other workers have every device"
        if not devices:
            self._nowhere = self._fresh_look(_FRESH_S).nothing()
            if not self._patient:
                raise UserError("gpu.none", self._nowhere)

    def _fresh_look(self, max_age_s: float) -> Look:
        if self._look is None or time.monotonic() - self._looked_at > max_age_s:
            self._look = Look.now(self.settings)
            self._looked_at = time.monotonic()
        return self._look

    def _settle_orphans(self) -> None:
        if time.monotonic() - self._orphans_at > _ORPHANS_EVERY_S:
            self._orphans.look()
            self._orphans_at = time.monotonic()

    def _is_mine(self, number: int) -> bool:
        return any(slot.job is not None and slot.job.id == number for slot in self.slots.values())

    def _has_owner(self, job: Job) -> bool:
        """Whether the worker that started a job lives: it holds the lease of its device."""
        if self._is_mine(job.id):
            return True
        device = job.state.device if isinstance(job.state, Started) else ""
        return device not in self.slots and has_worker(self._ledger.state_dir, device)

    # ---------------------------------------------------------------------------------------- jobs

    def _serve(self, slot: Slot, wishes: Collection[int]) -> None:
        """Look after the job that runs at a device."""
        if slot.child is None or slot.job is None:
            return
        if slot.child.status() is not None:
            self._settle(slot)
            return
        if slot.job.id in wishes:
            slot.child.end()
        if (progress := slot.child.look()) is not None:
            self._observer.progress(slot.job, progress)

    def _settle(self, slot: Slot, *, gone: bool = False) -> None:
        """Enter what became of it.  ``gone``: whatever became of its process, nobody waits for it any more."""
        assert slot.child is not None
        assert slot.job is not None
        status, retry_wait_s = slot.child.status(), self.settings.retry_wait_s
        with self._ledger.transaction():  # a person may cancel it at this very moment
            job = self._ledger.job(slot.job.id)
            if job.state.status != "Started":  # a repair was faster
                pass
            elif slot.child.why is not None:
                job = settle.stopped(self._ledger, job, slot.child.why, retry_wait_s)
            elif slot.given_back or gone or status is None:
                job = settle.give_back(self._ledger, job, slot.given_back, retry_wait_s)
            else:
                job = settle.ended(self._ledger, job, status, retry_wait_s)
        self._begun -= job.state.status not in ENDED
        slot.free()
        self._observer.ended(job)

    def _begin(self, slot: Slot) -> None:
        """Start the next job at a device, or say why not."""
        if slot.running or (self._most is not None and self._begun + self._followed.ended >= self._most):
            return
        if self._ledger.hold_now() is not None or (job := self._ledger.next(time.time(), self._only)) is None:
            slot.tell(self._ledger, "")
            return
        reason = self.paused or self._fresh_look(_FRESH_S).why_not(slot.device) or self._no_room(job)
        slot.tell(self._ledger, reason)
        if reason:
            return
        paths = self._ledger.paths(job.id)
        lock = Lease.take(paths.lock) if paths.folder.is_dir() else None
        if lock is None and paths.folder.is_dir():
            self._locked(job)
            return
        self._locked_since.pop(job.id, None)
        started = Started(time.time(), device=slot.device.key, worker=self.token)
        try:
            self._start(slot, job, started, lock)
        finally:
            if lock is not None:
                lock.release()  # the child has it

    def _start(self, slot: Slot, job: Job, started: Started, lock: Lease | None) -> None:
        """Damage first, then enter, start: a worker that is killed in between leaves what is settled."""
        paths = self._ledger.paths(job.id)
        try:
            paths.read_request()
        except UserError as error:
            if (claimed := self._ledger.claim(job.id, started)) is not None:
                result = failed(UserError("job.damaged", error.message), started.since)
                settle.write(paths, result)
                self._observer.ended(settle.settle(self._ledger, claimed, result, self.settings.retry_wait_s))
            return
        assert lock is not None
        speed = self._ledger.speeds().get(job.camera)
        with self._ledger.transaction():
            if (claimed := self._ledger.claim(job.id, started)) is None:
                return
            paths.set_aside(claimed.attempts)  # only now: what has ended since we chose it has its result there
        try:
            child = Child(paths, lock, self.settings, slot.device.gpus, speed)
        except UserError:
            self._ledger.move(job.id, Waiting(time.time(), time.time() + _AGAIN_S), "no process could be started")
            raise
        self._begun += 1
        self._followed.forget(job.id)
        slot.job, slot.child = claimed, child  # whatever fails from here on, it is ended and given back
        slot.started(claimed, child, self._ledger)
        self._observer.started(claimed)

    def _tell_idle(self) -> None:
        if (reason := self.reason()) != self._told:
            self._told = reason
            self._observer.idle(reason)

    def _no_room(self, job: Job) -> str:
        try:
            room.require(self.settings, Video.at(Path(job.video)))
        except UserError as error:
            return error.message if error.code == "disk.full" else ""  # anything else is the job's to say
        return ""

    def _locked(self, job: Job) -> None:
        """Another worker just takes it; where it stays so, somebody runs it by hand, and others come first."""
        now, why = time.monotonic(), "somebody runs it by hand"
        if now - self._locked_since.setdefault(job.id, now) > _TAKEN_WITHIN_S:
            with self._ledger.transaction():
                if self._ledger.job(job.id).state == job.state:
                    self._ledger.correct(job.id, Waiting(time.time(), time.time() + _BY_HAND_S, why), why)
