"""What this server knows of Alyx without asking it: for ``status``, which must not wait for anybody."""

from __future__ import annotations

import time
from typing import Any

from iblvideo_admin.alyx.book import UNDER_WAY, Book
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.settings import Settings

_SHOWN = 20
_FOREIGN_S = 86400.0
_FAILED_S = 7 * 86400.0


def outbox(ledger: Ledger, settings: Settings) -> dict[str, Any] | None:
    """The key ``outbox``: what waits, what failed, what was last heard; None on a server that takes no tasks."""
    book = Book(ledger)
    contact = book.all_noted("contact")
    trouble = book.all_noted("trouble")
    tasks = dict(ledger.ask("SELECT phase, count(*) FROM tasks GROUP BY phase"))
    if not contact and not trouble and not tasks:
        return None
    now = time.time()
    letters = book.letters()
    failed = ledger.ask(
        "SELECT task, kind, error FROM outbox WHERE outcome = 'failed' AND done > ? ORDER BY id DESC LIMIT ?",
        (now - _FAILED_S, _SHOWN),
    )
    return {
        "waiting": len(letters),
        "oldest": min(letter.since for letter in letters) if letters else None,
        "letters": [
            {"task": x.task, "kind": x.kind, "since": x.since, "attempts": x.attempts, "error": x.error}
            for x in letters[:_SHOWN]
        ],
        "failed": [{"task": task, "kind": kind, "error": error} for task, kind, error in failed],
        "tasks": {phase: tasks.get(phase, 0) for phase in UNDER_WAY},
        "contact": max((value for _, _, value in contact), default=None),
        "problem": "; ".join(value for _, _, value in trouble if value) or None,
        "foreign": _foreign(book, now) if settings.dlc_tasks == "iblvideo-admin" else [],
    }


def _foreign(book: Book, now: float) -> list[str]:
    """Started tasks of our repository that we did not start: ibllib may be at work on it, too."""
    return [task for _, since, value in book.all_noted("foreign") if now - since < _FOREIGN_S for task in value]


def attention(seen: dict[str, Any]) -> list[str]:
    """What of it needs a person, beside what waits."""
    wanted = [
        f"Alyx was not told of task {one['task']} ({one['kind']}): {one['error']}" for one in seen.get("failed", ())
    ]
    if foreign := seen.get("foreign"):
        wanted.append(
            f"{len(foreign)} DLC tasks of this server's repository are Started, but not by this server: "
            "if ibllib takes them, too, let only one do so (setting dlc_tasks)"
        )
    return wanted
