"""The outbox: registrations, end statuses and children, delivered in order, whatever happens in between.

A letter is settled in the ledger after Alyx has heard it; whoever is killed in between looks first what Alyx knows.
"""

from __future__ import annotations

import time
from typing import Any

from iblvideo_admin.alyx import groups, taking, words
from iblvideo_admin.alyx.book import Book, Letter, Task
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.registering import NotYetError, register
from iblvideo_admin.alyx.trouble import TroubleError

MOST_ATTEMPTS = 5
_LONGEST_WAIT_S = 3600.0


def deliver(book: Book, client: Client) -> list[str]:
    """Deliver what can be delivered now; gives what cannot ever.

    Raises TroubleError (``away`` or ``login``) where nothing can be: everything stays.
    """
    lost: list[str] = []
    stuck: set[str] = set()
    for letter in book.waiting():
        if letter.task in stuck:
            continue
        if letter.due > time.time():
            stuck.add(letter.task)
            continue
        task = book.task(letter.task)
        assert task is not None
        try:
            outcome = _HANDLERS[letter.kind](book, client, task, letter)
        except NotYetError as wait:
            book.put_off(letter, wait.until, "an answer has not come; it is looked at again later")
            stuck.add(letter.task)
        except TroubleError as error:
            if error.kind in ("away", "login"):
                book.put_off(letter, 0.0, error.message)
                raise
            if not _failed(book, letter, error, client.settings.alyx_every_s):
                stuck.add(letter.task)
            else:
                lost.append(f"task {task.id} ({task.folder or task.session}), {letter.kind}: {error.message}")
        else:
            book.settle(letter, outcome)
    return lost


def _failed(book: Book, letter: Letter, error: TroubleError, every_s: float) -> bool:
    """Whether a letter can never be delivered; another is put off."""
    final = error.kind == "refused" or (letter.kind != "status" and letter.attempts + 1 >= MOST_ATTEMPTS)
    if final:
        book.settle(letter, "failed", error.message)
    else:
        wait_s = min(every_s * 2.0**letter.attempts, _LONGEST_WAIT_S)
        book.put_off(letter, time.time() + wait_s, error.message, attempts=1)
    return final


def _register(book: Book, client: Client, task: Task, letter: Letter) -> str:
    register(book, client, task, letter)
    return "done"


def _status(book: Book, client: Client, task: Task, letter: Letter) -> str:
    """The end status, unless somebody has changed it since; what could not be registered is not Complete."""
    outcomes = dict(letter.data["outcomes"])
    log = str(letter.data["log"])
    for other in book.letters(task.id):
        if other.kind == "register" and other.outcome == "failed":
            outcomes[other.data["camera"]] = ("Errored", f"not registered: {other.error}")
            log += f"\n{other.data['camera']}: not registered: {other.error}"
    end = groups.end_status(outcomes)
    now = client.read("tasks", task.id)
    is_told = now.get("status") == end and now.get("version") == words.version()
    if is_told and not words.is_claim(now.get("log"), task.nonce):
        return "done"  # we said so before, and did not hear the answer
    if now.get("status") != "Started":
        book.set_phase(task.id, "ended", f"somebody made it {now.get('status')} in Alyx meanwhile")
        return "overtaken"
    client.patch(
        "tasks", task.id, status=end, log=words.bounded(log), time_elapsed_secs=letter.data["seconds"],
        version=words.version(),
    )  # fmt: skip
    time.sleep(taking.LOOK_AGAIN_S)
    if client.read("tasks", task.id).get("status") == "Started":
        # another client, at the same moment, saved the whole row as it had read it before
        raise TroubleError("broken", f"task {task.id} is Started again: somebody saved it beside us", answered=True)
    return "done"


def _children(book: Book, client: Client, task: Task, letter: Letter) -> str:
    """Held children of which every parent is done go to Waiting: Alyx leaves this to its clients."""
    del book, letter
    status, children = _held_children(client, task)
    if status not in taking.DONE:
        return "overtaken"
    for child in children:
        client.patch("tasks", child, status="Waiting")
    if children:
        time.sleep(taking.LOOK_AGAIN_S)
        if set(_held_children(client, task)[1]) & set(children):
            raise TroubleError("broken", "a child is Held again: somebody saved it beside us", answered=True)
    return "done"


def _held_children(client: Client, task: Task) -> tuple[str, list[str]]:
    """A task's status, and its Held children of which every parent is done."""
    rows = client.list("tasks", session=task.session)
    status = next((str(row.get("status")) for row in rows if row.get("id") == task.id), "")
    held = [row for row in rows if row.get("status") == "Held" and task.id in _parents(row)]
    return status, [str(row["id"]) for row in held if taking.parents_done(client, row)]


def _parents(row: dict[str, Any]) -> list[str]:
    return [str(parent).rpartition("/")[2] for parent in row.get("parents") or ()]


_HANDLERS = {"register": _register, "status": _status, "children": _children}
