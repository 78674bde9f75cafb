"""A worker's place at a device: its lease, and the job that runs there."""

from __future__ import annotations

from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import make_alike
from iblvideo_admin.queue.child import Child
from iblvideo_admin.queue.devices import Device
from iblvideo_admin.queue.lease import Lease, is_taken
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import Started


def lease_path(state_dir: Path, device: str) -> Path:
    """The lock that the worker of a device holds while it lives."""
    return state_dir / "workers" / f"{device}.lock"


def has_worker(state_dir: Path, device: str) -> bool:
    """Whether a worker of this state folder is at the device now."""
    return bool(device) and is_taken(lease_path(state_dir, device))


class Slot:
    """One device of this worker.  ``reason`` is why nothing runs there, empty while a job does or may."""

    def __init__(self, device: Device, lease: Lease) -> None:
        self.device, self.lease = device, lease
        self.job: Job | None = None
        self.child: Child | None = None
        self.given_back = ""
        self.reason = ""

    @classmethod
    def take(cls, ledger: Ledger, device: Device) -> Slot | None:
        """The place, or None where another worker has it.  Raises ``state.not_usable``."""
        path = lease_path(ledger.state_dir, device.key)
        try:
            make_alike(path.parent)
        except OSError as error:
            raise UserError("state.not_usable", f"{path.parent} cannot be made: {error.strerror}") from error
        lease = Lease.take(path)
        return None if lease is None else cls(device, lease)

    @property
    def running(self) -> bool:
        """Whether a job's process was started here that is not settled yet."""
        return self.child is not None

    def tell(self, ledger: Ledger, reason: str) -> None:
        """Say why nothing runs here, where that is news."""
        if reason != self.reason:
            ledger.tell_device(self.device.key, reason)
            self.reason = reason

    def started(self, job: Job, child: Child, ledger: Ledger) -> None:
        """A job runs here."""
        state = job.state
        assert isinstance(state, Started)
        self.job, self.child, self.given_back = job, child, ""
        ledger.amend(job.id, Started(state.since, child.pid, state.device, state.worker))

    def end(self, why: str) -> None:
        """Tell the job to end; it goes back to the queue for this reason."""
        if self.child is not None:
            self.given_back = why
            self.child.end()

    def free(self) -> None:
        """The job is settled."""
        self.job = self.child = None
        self.given_back = ""
