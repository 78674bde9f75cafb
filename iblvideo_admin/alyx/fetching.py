"""A file fetched from a server: into a temporary name, resumed where it broke off, never for longer than it moves.

ONE's own downloads set no time limit, begin anew after each interruption, and leave a cut file under its final name
without a word; so only the address and the login are ONE's.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import nearest, no_link, read_json, sync, write_hint

_LEAST_BYTES = 1 << 16  # in each alyx_limit_s: a server that gives less does not move
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Opened:
    """An answer: its blocks, from which byte they are, how many bytes the whole has (None: unknown), and its mark."""

    blocks: Iterator[bytes]
    first: int
    size: int | None
    mark: str


class Source(Protocol):
    """Where a file comes from."""

    name: str

    def open(self, first: int, mark: str, limit_s: float) -> Opened:
        """From this byte on, if the file still has this mark; else the whole of it.  Raises :class:`TroubleError`."""


def fetch(
    source: Source,
    target: Path,
    *,
    limit_s: float,
    free_bytes: float = 0.0,
    going_on: Callable[[], bool] = lambda: True,
) -> None:
    """Fetch the whole into ``target``, a temporary name; what is there of it already is kept.

    Raises TroubleError, and ``disk.full``.
    """
    mark_path = target.with_name(f"{target.name}.from")
    known = read_json(mark_path) or {}
    name = source.name  # S3 has another once it knows its bucket
    first = target.stat().st_size if target.exists() and known.get("name") == name and known.get("mark") else 0
    opened = source.open(first, str(known.get("mark") or ""), limit_s)
    write_hint(mark_path, {"name": name, "mark": opened.mark})
    if opened.size is not None:
        _require_room(target, opened.size - opened.first + free_bytes)
    try:
        with open(target, "r+b" if opened.first else "wb", opener=no_link) as file:
            file.seek(opened.first)
            file.truncate()
            for block in _moving(opened.blocks, limit_s):
                file.write(block)
                if not going_on():
                    raise TroubleError("away", "interrupted")
            sync(file)
            size = file.tell()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("disk.full", f"there is no room left for {target}") from error
        raise
    if opened.size is not None and size != opened.size:
        raise TroubleError("away", f"{source.name} broke off after {size} of {opened.size} bytes")


def forget(target: Path) -> None:
    """Remove what was fetched, whole or not."""
    for path in (target, target.with_name(f"{target.name}.from")):
        path.unlink(missing_ok=True)


def hash_of(path: Path, kind: str) -> str:
    """Of a file's whole content, as hashlib calls the kind.  Raises OSError."""
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _moving(blocks: Iterator[bytes], limit_s: float) -> Iterator[bytes]:
    """The blocks, while enough of them come.  Raises TroubleError."""
    since, got = time.monotonic(), 0
    for block in blocks:
        yield block
        got += len(block)
        if time.monotonic() - since > limit_s:
            if got < _LEAST_BYTES:
                raise TroubleError("away", f"only {got} bytes came in {limit_s:g} s")
            since, got = time.monotonic(), 0


def _require_room(target: Path, wanted: float) -> None:
    free = shutil.disk_usage(nearest(target.parent)).free
    if wanted > free:
        raise UserError("disk.full", f"{target.parent}: {wanted / 1e9:.1f} GB are wanted, {free / 1e9:.1f} GB are free")


class Http:
    """A file behind an address; ``login`` and ``password`` are sent to that host alone."""

    def __init__(self, url: str, login: str | None = None, password: str | None = None) -> None:
        self.url, self.name = url, url
        self._login = (login, password) if login and password else None

    def open(self, first: int, mark: str, limit_s: float) -> Opened:
        """See :class:`Source`."""
        import requests

        from iblvideo_admin.alyx import trouble

        headers = {"Accept-Encoding": "identity"}
        if first:
            headers |= {"Range": f"bytes={first}-", "If-Range": mark}
        try:
            answer = requests.get(self.url, headers=headers, auth=self._login, stream=True, timeout=(10.0, limit_s))
        except (requests.exceptions.RequestException, ValueError) as error:
            raise trouble.of(error, self.url) from None
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return self.open(0, "", limit_s)
        if answer.status_code in (404, 410):
            raise TroubleError("refused", f"{self.url} is not there ({answer.status_code})", answered=True)
        if answer.status_code in (401, 403):
            raise TroubleError("login", f"{self.url} refuses the login ({answer.status_code})", answered=True)
        if answer.status_code not in (200, 206):
            raise TroubleError("away", f"{self.url} answers {answer.status_code}")
        begun = first if answer.status_code == requests.codes.partial_content else 0
        length = answer.headers.get("Content-Length", "")
        size = begun + int(length) if length.isdecimal() else None
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        return Opened(self._blocks(answer), begun, size, "" if mark.startswith("W/") else mark)

    def _blocks(self, answer: Any) -> Iterator[bytes]:
        """What comes, as it comes: a call that waits for a full block would not see that nothing moves."""
        import urllib3

        from iblvideo_admin.alyx import trouble

        with answer:
            try:
                while block := answer.raw.read1(_BLOCK):
                    yield block
            except (OSError, urllib3.exceptions.HTTPError) as error:
                raise trouble.of(OSError(str(error)), self.url) from None


class File:
    """A file of a mirror: any path that this user can read."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)

    def open(self, first: int, mark: str, limit_s: float) -> Opened:
        """See :class:`Source`."""
        del first, mark, limit_s
        try:
            size = self.path.stat().st_size
            file = open(self.path, "rb")  # noqa: SIM115  closed by its blocks
        except OSError as error:
            raise TroubleError("refused", f"{self.path} cannot be read: {error.strerror}", answered=True) from error
        return Opened(_read(file), 0, size, "")


def _read(file: Any) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
