"""What a state folder asks of its file system: locks that keep others out, and room."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import nearest

# SQLite's write-ahead log is shared memory: two hosts on one folder would each have their own
_OF_MANY_HOSTS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.sshfs",
     "fuse.glusterfs", "fuse.s3fs", "fuse.rclone"}
)  # fmt: skip
_PROBE = ".locks-"
_WHOLE_FILE = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def require_locks(folder: Path) -> None:
    """Refuse a folder where two could believe that they are alone.  Raises ``state.not_usable``."""
    if (kind := kind_of(folder)) in _OF_MANY_HOSTS:
        raise no_locks(folder, f"its file system ({kind}) is shared with other hosts")
    probe = folder / f"{_PROBE}{os.getpid()}"  # one's own: whoever tries at the same moment must not be in the way
    try:
        for left in folder.glob(f"{_PROBE}*"):
            if not Path("/proc", left.name.removeprefix(_PROBE)).exists():  # killed in the middle of it
                left.unlink(missing_ok=True)
        try:
            for name, lock in (("flock", _flock), ("POSIX locks", _range)):
                if not _keeps_out(probe, lock):
                    raise no_locks(folder, f"its file system has no working {name}")
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise UserError("state.not_usable", f"{folder} cannot be written: {error.strerror}") from error


def no_locks(folder: Path, why: str) -> UserError:
    """The refusal of a folder."""
    return UserError("state.not_usable", f"{folder}: {why}", "Set state_dir to a folder on a disk of this server.")


def kind_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds a folder, as the kernel calls it; empty where it cannot be told."""
    try:
        device = folder.stat().st_dev
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    kinds = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2:3] == [wanted] and " - " in line]
    return kinds[-1] if kinds else ""


def free_bytes(folder: Path) -> int:
    """Room on the file system of a folder, or of the nearest one above that is there."""
    return shutil.disk_usage(nearest(folder)).free


def _keeps_out(path: Path, lock: Callable[[int], None]) -> bool:
    """Whether a second one is refused while a first one holds the lock."""
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for _ in range(2))
    try:
        lock(first)
        try:
            lock(second)
        except BlockingIOError:
            return True
        else:
            return False
    except OSError:
        return False
    finally:
        os.close(first)
        os.close(second)


def _flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _range(descriptor: int) -> None:
    """What SQLite uses; between two descriptors of one process only in its newer form."""
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
