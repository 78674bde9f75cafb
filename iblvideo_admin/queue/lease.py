"""Leases: a lock on an open descriptor, which ends with the last process that holds it, never by a clock."""

from __future__ import annotations

import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

from iblvideo_admin.errors import UserError

LOCK_VARIABLE = "IBLVIDEO_ADMIN_JOB_LOCK"  # the descriptor of a job's lock, where a worker holds it for its child


class Lease:
    """An exclusive lock on a file; ``descriptor`` may be inherited by a child, which then holds it too."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    @classmethod
    def take(cls, path: Path) -> Lease | None:
        """The lease, or None where somebody else has it.  Raises ``state.not_usable``."""
        while True:
            try:
                descriptor = _open(path)
            except OSError as error:
                raise UserError("state.not_usable", f"the lock {path} cannot be opened: {error.strerror}") from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError as error:
                os.close(descriptor)
                raise UserError("state.not_usable", f"{path} lies on a file system without locks") from error
            if _is_at(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)  # its last holder has removed it meanwhile: this one keeps nobody out

    @classmethod
    def inherited(cls, path: Path, descriptor: int) -> Lease | None:
        """The lease that the process which started this one took for us; None where it is another file's."""
        try:
            if _is_at(path, descriptor):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ours already: this waits for nobody
                os.set_inheritable(descriptor, False)
                return cls(path, descriptor)
        except OSError:
            pass
        return None

    def release(self) -> None:
        """Give it back (a child that inherited it still holds it)."""
        os.close(self.descriptor)

    def discard(self) -> None:
        """Give it back and remove its file, where that is allowed: nobody comes back to it."""
        with suppress(OSError):
            self.path.unlink()
        self.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def is_taken(path: Path) -> bool:
    """Whether somebody holds a lease just now; a file that is not there is nobody's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def end_holders(path: Path) -> None:
    """End by force every other process that holds this lock: what is left of a job that was ended.

    All are found before any is ended: when they are gone, somebody else may take the lock at once.
    """
    try:
        lock = path.stat()
    except OSError:  # it is gone, and whoever held it held nothing
        return
    folders = Path("/proc").glob("[0-9]*")
    holders = [int(folder.name) for folder in folders if int(folder.name) != os.getpid() and _holds(folder, lock)]
    for pid in holders:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _holds(process: Path, lock: os.stat_result) -> bool:
    """Whether a process has the lock, itself or by inheritance.  Who only looks has the file open for a moment, too."""
    with suppress(OSError):  # another user's, or gone
        for link in list((process / "fd").iterdir()):
            with suppress(OSError):  # closed meanwhile
                same = os.path.samestat(link.stat(), lock)
                if same and "FLOCK" in (process / "fdinfo" / link.name).read_text():
                    return True
    return False


def make_folder(folder: Path) -> None:
    """Make the folder of the locks that all users of the server share.  Raises ``state.not_usable``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o1777)
    except OSError as error:
        raise UserError("state.not_usable", f"lock_dir {folder} cannot be made: {error.strerror}") from error


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _open(path: Path) -> int:
    """Open a lock that may be another user's: to lock it, reading is enough."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # the folder is everybody's: a pipe there must not stop us
    try:
        return os.open(path, os.O_RDONLY | flags)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
        with suppress(PermissionError):  # whatever the umask; made by another user meanwhile
            os.fchmod(descriptor, 0o644)
        return descriptor
