"""Files that are never half-written: temporary name, sync, rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from iblvideo_admin.errors import UserError


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object durably."""
    temporary = temporary_of(path)
    try:
        with open(temporary, "w", encoding="utf-8", opener=no_link) as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            sync(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """A hidden name beside ``path`` for a new file, which takes its place at the end or leaves nothing behind.

    Raises ``output.not_writable`` and ``disk.full`` for every OSError of the block.
    """
    part = path.with_name(f".{path.stem[:100]}.{os.getpid()}.part{path.suffix}")
    with refusals(path, "output.not_writable"):  # also those of the libraries that write videos and pictures
        try:
            yield part
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
            sync_folder(path.parent)
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                part.unlink()


def write_placed(path: Path, content: bytes, mode: int | None = None) -> None:
    """A whole file, or none; with these rights, whatever the umask.  Raises what :func:`placed` raises."""
    with placed(path) as part, open(part, "wb", opener=no_link) as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(content)
        sync(file)


def write_hint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object that nobody relies on: renamed into place, not synced, failures passed over."""
    temporary = temporary_of(path)
    try:
        with open(temporary, "w", encoding="utf-8", opener=no_link) as file:
            file.write(json.dumps(content))
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def refusals(path: Path, code: str) -> Iterator[None]:
    """Turn the file system's refusals into errors that name a file or folder: ``disk.full``, or ``code``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("disk.full", f"there is no room left for {path}") from error
        raise UserError(code, f"{path} cannot be written: {error.strerror or error}") from error


def replace_with(path: Path, content: bytes) -> None:
    """Write a file durably, beside other processes that may write the same one.  Raises OSError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=no_link) as file:
            file.write(content)
            sync(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def temporary_of(path: Path) -> Path:
    """What a file is called until it is whole; who is killed leaves it behind."""
    return path.with_name(f"{path.name}.tmp")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def make_alike(folder: Path) -> None:
    """Make a folder, where it is not there, open to whom the one above is open.  Raises OSError.

    A state folder is shared by a group whatever each one's umask: members add jobs, the service runs them.
    """
    try:
        folder.mkdir()
    except FileExistsError:
        return
    mode = folder.parent.stat().st_mode & 0o7777
    if folder.stat().st_mode & 0o7777 != mode:  # a service's sandbox forbids it; there the umask has done it already
        folder.chmod(mode)


def no_link(path: str, flags: int) -> int:
    """For ``open(..., opener=no_link)``: a link that somebody put there leads nowhere.  Raises OSError (ELOOP)."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def exists(path: Path) -> bool:
    """Whether a path is there, as far as this user can see; Path.exists raises where looking is forbidden."""
    return os.path.exists(path)  # noqa: PTH110


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there: it lies on the same disk."""
    return next(path for path in (folder, *folder.parents) if exists(path))


def sync(file: IO[Any]) -> None:
    """Bring an open file's content to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, where the file system knows how to (some network ones do not)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Of a file's whole content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
