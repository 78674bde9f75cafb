"""What the kernel and the file system say about this host: ``/proc``, ``/sys``, ``/dev``, ``/usr/local`` ...

All of it is read below ``IBLVIDEO_ADMIN_SYSROOT`` (default ``/``), so that a machine can be described by a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

_MOST_BYTES = 1 << 21  # the kernel refuses larger reads of /proc/sys


class CannotLookError(Exception):
    """Something is there but may not, or cannot, be read: what a check says then is ``skip``, never ``pass``."""


class Sysroot:
    """The files of a host.  ``root`` is where its ``/`` lies."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get("IBLVIDEO_ADMIN_SYSROOT") or "/")

    def path(self, absolute: str | Path) -> Path:
        """Where an absolute path of the host lies here."""
        return self.root / str(absolute).lstrip("/")

    def text(self, absolute: str | Path) -> str | None:
        """The text of a file, undecodable bytes replaced; None where there is none.  Raises CannotLookError."""
        try:
            with open(self.path(absolute), "rb", opener=_at_once) as file:
                return file.read(_MOST_BYTES).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise CannotLookError(f"{absolute} cannot be read: {_why(error)}") from error

    def names(self, absolute: str | Path) -> list[str]:
        """The sorted names in a folder; none where there is no such folder.  Raises CannotLookError."""
        try:
            return sorted(os.listdir(self.path(absolute)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError) as error:
            raise CannotLookError(f"{absolute} cannot be listed: {_why(error)}") from error

    def exists(self, absolute: str | Path) -> bool:
        """Whether there is anything of that name, a dangling link included.  Raises CannotLookError."""
        try:
            os.lstat(self.path(absolute))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError) as error:
            raise CannotLookError(f"{absolute} cannot be looked at: {_why(error)}") from error
        return True


def _at_once(path: str, flags: int) -> int:
    """A pipe in a file's place has nobody at its other end: opening it must not wait for one."""
    return os.open(path, flags | os.O_NONBLOCK)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
