"""The ledger's tables, and how an older file becomes one of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources

from iblvideo_admin.errors import UserError

MIGRATIONS = ("schema_1.sql", "schema_2.sql", "schema_3.sql", "schema_4.sql")


def is_current(db: sqlite3.Connection) -> bool:
    """Whether nothing is to be done: then a ledger that somebody else is writing to can be read at once.

    So it is, too, where a newer version has only added what this one need not know: a server may be led back.
    """
    version, known = _version(db), len(MIGRATIONS)
    return version == known or (version > known and _oldest_reader(db) <= known)


def is_new(db: sqlite3.Connection) -> bool:
    """Whether there is no table yet."""
    return _version(db) == 0


def migrate(db: sqlite3.Connection, name: str) -> None:
    """Bring the file up to date, inside the caller's transaction.  Raises ``state.not_usable``: it is too new."""
    version = _version(db)
    if version > len(MIGRATIONS):
        raise UserError(
            "state.not_usable",
            f"{name} was written by a newer iblvideo-admin (schema {version})",
            "Update iblvideo-admin.",
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        for statement in _statements(resources.files(__package__).joinpath(script).read_text(encoding="utf-8")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _oldest_reader(db: sqlite3.Connection) -> int:
    """The schema from which on a program can use this ledger."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'readers'").fetchone():
        return _version(db)
    (oldest,) = db.execute("SELECT max(oldest) FROM readers").fetchone()
    return int(oldest)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script: executescript would commit the transaction around it."""
    lines = (line for line in script.splitlines() if not line.startswith("--"))
    yield from (statement for statement in "\n".join(lines).split(";\n") if statement.strip())
