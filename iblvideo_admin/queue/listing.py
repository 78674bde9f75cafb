"""Which jobs a person wants to see: a choice, and the condition that it means to the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iblvideo_admin.queue.ledger import Job, Ledger


@dataclass(frozen=True)
class Choice:
    """Empty fields mean any.  ``subject`` and ``code`` may hold ``*``; ``date`` is a day or the beginning of one."""

    statuses: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    subject: str = ""
    date: str = ""
    code: str = ""
    limit: int | None = None


def choose(ledger: Ledger, choice: Choice) -> list[Job]:
    """The chosen jobs in the order of their numbers, of many the newest ``limit``."""
    conditions: list[str] = []
    values: list[Any] = []
    for column, chosen in (("status", choice.statuses), ("camera", choice.cameras)):
        if chosen:
            conditions.append(f"{column} IN ({', '.join('?' * len(chosen))})")
            values += chosen
    for column, pattern in (("subject", choice.subject), ("code", choice.code)):
        if pattern:
            conditions.append(f"{column} GLOB ?")
            values.append(pattern.replace("[", "[[]"))  # a mouse may be called [red]
    if choice.date:
        conditions.append("substr(date, 1, ?) = ?")
        values += [len(choice.date), choice.date]
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    limit = "" if choice.limit is None else " LIMIT ?"
    jobs = ledger.select(
        f"{where}ORDER BY id DESC{limit}", [*values, *([] if choice.limit is None else [choice.limit])]
    )
    return jobs[::-1]
