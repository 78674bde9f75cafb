"""Leases: a lock on an open descriptor, which ends with the last process that holds it, never by a clock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from iblvideo_admin.errors import UserError


class Lease:
    """An exclusive lock on a file; ``descriptor`` may be inherited by a child, which then holds it too."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    @classmethod
    def take(cls, path: Path) -> Lease | None:
        """The lease, or None where somebody else has it.  Raises ``state.not_usable``."""
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.parent.chmod(0o1777 if path.parent.name == "iblvideo-admin" else 0o755)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
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
        return cls(path, descriptor)

    def release(self) -> None:
        """Give it back (a child that inherited it still holds it)."""
        os.close(self.descriptor)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
