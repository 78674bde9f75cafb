"""A table made known to Alyx: once, never twice, and never moved.

Two registrations of one new file at the same time double its dataset, and Alyx then answers 500 for it for good.  So we
ask what is registered before, and after, each; and where an answer has not come, not before the request must be over.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from iblvideo_admin.alyx import groups
from iblvideo_admin.alyx.book import Book, Letter, Task
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.trouble import TroubleError

SETTLE = 3.0  # times alyx_limit_s: after so long a request without an answer is over, one way or the other
COLLECTION = "alf"


class NotYetError(Exception):
    """To be tried again at ``until`` (seconds since the epoch), and nothing has failed."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


def register(book: Book, client: Client, task: Task, letter: Letter) -> None:
    """Deliver one registration.  Raises TroubleError (``refused``: it can never be), or :class:`NotYetError`."""
    settle_s = SETTLE * client.limit_s
    if letter.sent and 0 <= time.time() - letter.sent < settle_s:
        raise NotYetError(letter.sent + settle_s)
    path = Path(letter.data["path"])
    try:
        size, md5 = path.stat().st_size, md5_of(path)
    except OSError as error:
        raise TroubleError("refused", f"{path} cannot be read: {error.strerror}", answered=True) from error
    if _is_there(client, task.session, path.name, size, md5):
        return
    data = _request(client, path, size, md5)
    book.sent(letter, time.time())
    try:
        client.post("/register-file", data)
    except TroubleError as error:
        if error.answered:
            book.sent(letter, 0.0)
        raise
    book.sent(letter, 0.0)
    if not _is_there(client, task.session, path.name, size, md5):
        raise TroubleError(
            "broken", f"{path.name} was registered, but GET /datasets does not show it so", answered=True
        )


def datasets(client: Client, session: str, name: str = "") -> list[dict[str, Any]]:
    """What Alyx holds of a session, on whatever repository: ``/sessions`` hides what only a lab's server has."""
    rows = client.list("datasets", session=session)
    mine = [row for row in rows if str(row.get("session")).rpartition("/")[2] == session]
    return [row for row in mine if not name or (row.get("name") == name and row.get("collection") == COLLECTION)]


def _is_there(client: Client, session: str, name: str, size: int, md5: str) -> bool:
    """Whether this very file is registered on our repository.  Raises TroubleError where it never can be."""
    found = [row for row in datasets(client, session, name) if not row.get("revision")]
    if len(found) > 1:
        raise TroubleError(
            "refused", f"Alyx holds {len(found)} datasets {name}: one must be removed there", answered=True
        )
    if not found:
        return False
    row = found[0]
    ours = [r for r in row.get("file_records") or () if r.get("data_repository") == client.settings.data_repository]
    if (row.get("file_size"), row.get("hash")) == (size, md5) and any(record.get("exists") for record in ours):
        return True
    if row.get("protected"):
        raise TroubleError("refused", f"alyx.protected: {name} is protected in Alyx", answered=True)
    return False


def _request(client: Client, path: Path, size: int, md5: str) -> dict[str, Any]:
    """The request as ONE makes it, with the size and the checksum that were compared with Alyx's.

    ONE itself would move a protected file into a folder of its own when it sends this; nothing of ours is moved.
    """
    settings = client.settings
    registration = client.registration()
    client.user()
    more = {"labs": settings.lab} if settings.lab else {}
    found = registration.register_files(
        [path],
        versions=[groups.version_of(path)],
        repository=settings.data_repository,
        dry=True,
        max_md5_size=0,  # ONE's own takes a third of a second for the smallest file
        **more,
    )
    if len(found) != 1:
        raise TroubleError("refused", f"no dataset type of Alyx's fits {path.name}", answered=True)
    return {**found[0], "hashes": [md5], "filesizes": [size]}


def md5_of(path: Path) -> str:
    """Alyx's checksum.  Raises OSError."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
