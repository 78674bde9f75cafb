"""``find``: where the traces of a session are, here and in Alyx, and which weights made them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from iblvideo_admin.alyx import registering, session_rows, words
from iblvideo_admin.alyx.book import Book
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.session_rows import is_id
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import exists
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video, is_session
from iblvideo_admin.settings import Settings
from iblvideo_admin.tracking import table

_MOST = 50  # sessions of a subject of which Alyx is asked: each is a request


def find(what: str, settings: Settings, *, offline: bool = False) -> dict[str, Any]:
    """The traces of a session (its id in Alyx) or of all sessions of a subject.

    Without Alyx it says what this server knows itself.  Raises ``path.missing`` where nobody knows the name.
    """
    asked, client = "", None
    try:
        client = None if offline else Client(settings)
    except UserError as error:
        asked = error.message
    ids = _known_ids(settings)
    rows: list[session_rows.SessionRow] = []
    if client is not None:
        try:
            rows = _rows(client, what)
        except TroubleError as trouble:
            asked, client = trouble.message, None
    folders = {row.folder(settings.subjects_dir): row.id for row in rows}
    for folder in _local(what, settings, ids):
        folders.setdefault(folder, ids.get(str(folder), ""))
    if not folders:
        why = f" (Alyx was not asked: {asked})" if asked else ""
        raise UserError("path.missing", f"neither this server nor Alyx knows a session of {what}{why}")
    sessions = []
    for number, (folder, session) in enumerate(sorted(folders.items())):
        registered: list[dict[str, Any]] | None = None
        if client is not None and session and number < _MOST:
            try:
                registered = registering.datasets(client, session)
            except TroubleError as trouble:
                asked, client = trouble.message, None
        sessions.append(_session(folder, session, registered, settings))
    return {"asked": what, "sessions": sessions, "alyx": client is not None, "because": asked}


def _rows(client: Client, what: str) -> list[session_rows.SessionRow]:
    """What Alyx knows by this name; sessions whose names cannot be folders' are passed over."""
    if is_id(what):
        try:
            return [session_rows.read(client, what)]
        except TroubleError as trouble:
            if trouble.kind == "refused":
                return []
            raise
    found = []
    for row in client.list("sessions", subject=what):
        try:
            session = session_rows.of(row)
        except TroubleError:
            continue
        if session.subject == what:  # a filter that Alyx does not know gives everything
            found.append(session)
    return found


def _local(what: str, settings: Settings, ids: dict[str, str]) -> list[Path]:
    if is_id(what):
        return [Path(folder) for folder, session in ids.items() if session == what]
    folder = settings.subjects_dir / what
    if "/" in what or what in (".", "..") or not folder.is_dir():
        return []
    return [path for path in sorted(folder.glob("*/*")) if is_session(path) and path.is_dir()]


def _known_ids(settings: Settings) -> dict[str, str]:
    if not exists(settings.state_dir / "ledger.sqlite"):
        return {}
    with Ledger(settings.state_dir) as ledger:
        return Book(ledger).sessions()


def _session(folder: Path, session: str, datasets: list[dict[str, Any]] | None, settings: Settings) -> dict[str, Any]:
    cameras = {}
    for camera in CAMERAS.values():
        video = Video(folder, camera)
        here = _here(video)
        there = None if datasets is None else _there(video, datasets, settings)
        if here or there or os.path.lexists(video.path):
            has_video = os.path.lexists(video.path)
            cameras[camera.name] = {
                "video": has_video,
                "local": here,
                "registered": there,
                "agree": _agree(here, there),
            }
    return {"path": str(folder), "id": session or None, "asked": datasets is not None, "cameras": cameras}


def _here(video: Video) -> dict[str, Any] | None:
    """The table on this server; None where there is none."""
    try:
        size, md5 = video.table.stat().st_size, registering.md5_of(video.table)
    except OSError:
        return None
    try:
        made = table.provenance_of(video.table) or {}
        weights, frames = made.get("weights", {}).get("version"), made.get("video", {}).get("frames")
    except (OSError, ValueError, AttributeError):
        weights = frames = None
    return {"path": str(video.table), "size": size, "md5": md5, "weights": weights, "frames": frames}


def _there(video: Video, datasets: list[dict[str, Any]], settings: Settings) -> dict[str, Any] | None:
    """The dataset in Alyx; None where there is none.  ``doubled``: more than one, which a person must mend."""
    name = video.table.name
    found = [row for row in datasets if row.get("name") == name and row.get("collection") == registering.COLLECTION]
    if not found:
        return None
    row = found[0]
    version = str(row.get("version") or "")
    records = [record for record in row.get("file_records") or () if record.get("exists")]
    return {
        "dataset": str(row.get("url")).rpartition("/")[2],
        "size": row.get("file_size"),
        "md5": row.get("hash"),
        "version": version or None,
        "weights": words.weights_in(version) or None,
        "protected": bool(row.get("protected")),
        "on": [record.get("data_repository") for record in records],
        "here": any(record.get("data_repository") == settings.data_repository for record in records),
        "doubled": len(found) > 1,
    }


def _agree(here: dict[str, Any] | None, there: dict[str, Any] | None) -> bool | None:
    return None if here is None or there is None else (here["size"], here["md5"]) == (there["size"], there["md5"])
