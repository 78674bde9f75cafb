"""Tasks taken from Alyx: which are ours to take, and how one is claimed.

Alyx has no claim that only one can win.  So there is one drain for each repository (:mod:`alyx.drain` holds a lock),
and a claim is looked at again a moment later: who finds another's mark there leaves the task to the other.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from iblvideo_admin.alyx import words
from iblvideo_admin.alyx.book import UNDER_WAY, Book, Task
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.session_rows import is_id
from iblvideo_admin.alyx.trouble import TroubleError

NAMES = ("DLC", "EphysDLC", "TrainingDLC")
DONE = ("Complete", "Incomplete")
_STARTED = 30
LOOK_AGAIN_S = 0.3


def waiting(client: Client) -> list[dict[str, Any]]:
    """The repository's DLC tasks that wait, all of them, the most urgent first.

    What a filter should have left out is left out here once more: Alyx passes over filters that it does not know.
    """
    return sorted(_tasks(client, "Waiting", status="Waiting"), key=lambda row: -_number(row.get("priority")))


def started(client: Client) -> list[dict[str, Any]]:
    """Those that are Started, whoever has them."""
    return _tasks(client, "Started", f"status,{_STARTED}")


def _tasks(client: Client, wanted: str, more: str = "", **filters: Any) -> list[dict[str, Any]]:
    settings = client.settings
    # a bare name behind __in would be taken for its letters
    pairs = [f"name__in,{list(NAMES)!r}".replace(" ", ""), f"data_repository__name,{settings.data_repository}"]
    if settings.lab:
        pairs.append(f"session__lab__name__in,['{settings.lab}']")
    rows = client.list("tasks", django=",".join([*pairs, *([more] if more else [])]), **filters)
    return [
        row
        for row in rows
        if row.get("status") == wanted
        and row.get("name") in NAMES
        and row.get("data_repository") == settings.data_repository
        and is_id(str(row.get("id")))
        and is_id(str(row.get("session")))
    ]


def strangers(book: Book, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Started tasks of which this ledger knows no work under way: ibllib's, another program's, or a person's doing."""
    return [row for row in rows if not _is_ours(book, row["id"])]


def _is_ours(book: Book, key: str) -> bool:
    task = book.task(key)
    return task is not None and (task.phase in UNDER_WAY or book.has_letters(key))


def parents_done(client: Client, row: dict[str, Any]) -> bool:
    """Whether every parent is Complete or Incomplete; one that is not there is not."""
    parents = [str(parent).rpartition("/")[2] for parent in row.get("parents") or ()]
    if not parents:
        return True
    known = {other["id"]: other.get("status") for other in client.list("tasks", session=row["session"])}
    return all(_status(client, parent, known) in DONE for parent in parents)


def _status(client: Client, task: str, known: dict[str, Any]) -> str:
    if task in known:
        return str(known[task])
    try:
        return str(client.read("tasks", task).get("status"))
    except TroubleError as error:
        if error.kind == "refused":
            return "gone"
        raise


def claim(book: Book, client: Client, row: dict[str, Any]) -> Task | None:
    """A Waiting task, ours; None where its parents are not done (it is Held then, as ibllib does) or another took it.

    Our ledger knows of the claim before Alyx does: killed in between, we find our mark there, or nothing.
    """
    if client.read("tasks", row["id"]).get("status") != "Waiting":  # since we had the list
        return None
    if not parents_done(client, row):
        client.patch("tasks", row["id"], status="Held")
        return None
    return confirm(book, client, book.claim(row["id"], row["name"], row["session"], uuid.uuid4().hex))


def confirm(book: Book, client: Client, task: Task) -> Task | None:
    """Put our mark on a task and look whether it stays; None where another has taken it."""
    now = client.read("tasks", task.id)
    if now.get("status") == "Waiting":
        client.patch("tasks", task.id, status="Started", version=words.version(), log=words.claim(task.nonce))
        time.sleep(LOOK_AGAIN_S)
        now = client.read("tasks", task.id)
    if now.get("status") == "Started" and words.is_claim(now.get("log"), task.nonce):
        book.set_phase(task.id, "preparing")
        return book.task(task.id)
    book.set_phase(task.id, "left", "another client took it")
    return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
