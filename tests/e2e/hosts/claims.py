"""Who runs hosts on this machine: each run has a number of its own, and its owner is known by more than a pid."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

SHARED = Path(os.environ.get("IBLVIDEO_ADMIN_TEST_HOSTS_DIR", "/var/tmp/iblvideo-admin-hosts"))
MOST = 32
KEPT = ""
"""The owner of a run that outlives the command which made it."""


@dataclass(frozen=True)
class Run:
    """One run; everything it makes on this machine is named after ``prefix`` or lies in one of its two folders."""

    number: int
    ident: str
    folder: str
    owner: str
    machine_boot: str

    @property
    def prefix(self) -> str:
        return f"{self.ident}{self.number}"

    @property
    def record(self) -> Path:
        """Of the run, in the shared folder; the masters of Ansible's connections have their sockets there."""
        return SHARED / "runs" / str(self.number)

    @property
    def sockets(self) -> Path:
        return self.record / "cp"

    @property
    def hosts_folder(self) -> Path:
        return Path(self.folder) / "hosts"

    @property
    def ssh_config(self) -> Path:
        return Path(self.folder) / "ssh_config"

    def alive(self) -> bool:
        """Whether somebody still wants it; after a restart of this machine nobody does."""
        if self.machine_boot != _machine_boot():
            return False
        return self.owner == KEPT or self.owner == identity(int(self.owner.split()[0]))


def claim(folder: Path, ident: str, *, keep: bool) -> Run:
    """The lowest number that is free; call it with :func:`lock` held."""
    taken = {run.number for run in runs()}
    for number in range(MOST):
        if number not in taken:
            owner = KEPT if keep else identity(os.getpid())
            run = Run(number, ident, str(folder), owner, _machine_boot())
            shutil.rmtree(run.record, ignore_errors=True)
            run.sockets.mkdir(parents=True)
            draft = run.record / "new"
            draft.write_text(json.dumps(asdict(run)))
            draft.replace(run.record / "run.json")
            return run
    raise RuntimeError(f"{MOST} runs of test hosts are more than this machine has addresses for")


def release(run: Run) -> None:
    """Give the number back."""
    shutil.rmtree(run.record, ignore_errors=True)


def runs() -> list[Run]:
    """All that have a number."""
    return [Run(**json.loads(path.read_text())) for path in sorted((SHARED / "runs").glob("*/run.json"))]


@contextmanager
def lock(name: str = "lock") -> Iterator[None]:
    """Held by one process at a time; it ends with the process."""
    SHARED.mkdir(mode=0o700, parents=True, exist_ok=True)
    if SHARED.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{SHARED} belongs to somebody else")
    with open(SHARED / name, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def identity(pid: int) -> str:
    """The pid and when it started, as numbers are used again; "nobody" where no such process runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "nobody"
    return "nobody" if fields[0] in ("Z", "X") else f"{pid} {fields[19]}"


def _machine_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
