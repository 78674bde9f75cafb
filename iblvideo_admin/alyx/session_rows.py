"""A session as Alyx tells of it, and where it lies here: no word of a server leads out of the subjects folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.rigs import CAMERAS, Camera
from iblvideo_admin.sessions import RAW

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True)
class Remote:
    """A raw video on the data server, and what it must be."""

    dataset: str
    url: str
    size: int
    md5: str


@dataclass(frozen=True)
class SessionRow:
    """A session; ``remote`` are its raw videos on the data server, by camera."""

    id: str
    subject: str
    date: str
    number: int
    remote: dict[str, Remote]

    def folder(self, subjects_dir: Path) -> Path:
        """Where it lies on a lab's server: without the lab."""
        return subjects_dir / self.subject / self.date / f"{self.number:03d}"


def is_id(text: str) -> bool:
    """Whether a text is an id of Alyx's."""
    return bool(_UUID.match(text))


def read(client: Client, session: str) -> SessionRow:
    """A session by its id.  Raises TroubleError, ``refused`` for one whose names cannot be a folder's."""
    return of(client.read("sessions", session))


def of(row: dict[str, Any]) -> SessionRow:
    """A session's row, checked.  Raises TroubleError (``refused``)."""
    subject, date = str(row.get("subject")), str(row.get("start_time"))[:10]
    number, session = row.get("number"), str(row.get("id") or str(row.get("url")).rpartition("/")[2])
    sound = _SUBJECT.match(subject) and _DATE.match(date) and isinstance(number, int) and 0 <= number <= 999
    if not sound or not is_id(session):
        raise TroubleError("refused", f"session {session} has a name that no folder can have", answered=True)
    assert isinstance(number, int)
    related = row.get("data_dataset_session_related")
    return SessionRow(session, subject, date, number, _remote(related if isinstance(related, list) else []))


def _remote(rows: list[Any]) -> dict[str, Remote]:
    """Raw videos with an address, a size and an md5; without these nothing could be checked."""
    names = {camera.raw_name: camera for camera in CAMERAS.values()}
    found = {}
    for row in rows:
        camera: Camera | None = names.get(str(row.get("name"))) if isinstance(row, dict) else None
        if camera is None or row.get("collection") != RAW:
            continue
        size, md5, url, dataset = row.get("file_size"), row.get("hash"), row.get("data_url"), str(row.get("id"))
        if isinstance(size, int) and size > 0 and _MD5.match(str(md5)) and is_id(dataset) and _is_address(url):
            found[camera.name] = Remote(dataset, str(url), size, str(md5))
    return found


def _is_address(url: object) -> bool:
    try:
        return isinstance(url, str) and urlsplit(url).scheme in ("http", "https") and urlsplit(url).port != 0
    except ValueError:  # a port that is no number, a broken [address]
        return False
