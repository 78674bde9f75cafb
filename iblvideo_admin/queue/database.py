"""The ledger's file: opened, brought up to date, asked and written to, every failure one error."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import make_alike
from iblvideo_admin.queue import filesystem, schema

BUSY_S = 30.0  # a backup program may hold the file for a while


class Database:
    """The SQLite file of a state folder, made on first use.  Raises ``state.not_usable``."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        path = state_dir / "ledger.sqlite"
        try:
            new = not path.exists()
            state_dir.mkdir(parents=True, exist_ok=True)
            make_alike(state_dir / "jobs")
            if new:
                filesystem.require_locks(state_dir)
                path.touch()
                path.chmod(state_dir.stat().st_mode & 0o666)  # SQLite gives its other files the same rights
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            (mode,) = self._db.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise filesystem.no_locks(state_dir, "SQLite cannot keep a write-ahead log there")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA synchronous = FULL")  # what was committed outlives a power cut
            if not schema.is_current(self._db):
                with self.transaction():
                    new = schema.is_new(self._db)
                    schema.migrate(self._db, f"the ledger in {state_dir}")
                    if new:
                        self._made()
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            remedy = "`iblvideo-admin queue repair` keeps it aside and makes a new one of the job folders."
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            raise UserError(
                "state.not_usable", f"{path} cannot be used: {reason}", remedy if damaged else None
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def require_writable(self) -> None:
        """Refuse a ledger that was opened while its disk was read-only: SQLite only reads it from then on."""
        with self.transaction():
            self._db.execute("DELETE FROM queue WHERE FALSE")

    def damage(self) -> str:
        """What SQLite finds wrong with the file; empty where it is sound."""
        try:
            found = [str(line) for (line,) in self._db.execute("PRAGMA quick_check(3)")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
        return "" if found == ["ok"] else "; ".join(found)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nobody else writes until it ends, and an exception undoes it all; inside another it is a part of that."""
        if self._db.in_transaction:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise UserError("state.not_usable", f"the ledger in {self.state_dir} cannot be written: {error}") from error
        except BaseException:
            self._rollback()
            raise

    def ask(self, question: str, values: Iterable[Any] = ()) -> list[Any]:
        """All rows of a question.  Raises ``state.not_usable``."""
        return list(self._rows(question, values))

    def change(self, statement: str, values: Iterable[Any] = ()) -> None:
        """Change rows; a transaction of its own, or part of the one that is open.  Raises ``state.not_usable``."""
        with self.transaction():
            self._db.execute(statement, tuple(values))

    def _made(self) -> None:
        """The tables have just been made, and nobody has seen them yet."""

    def _rows(self, question: str, values: Iterable[Any] = ()) -> Iterator[Any]:
        try:
            yield from self._db.execute(question, tuple(values))
        except sqlite3.Error as error:
            raise UserError("state.not_usable", f"the ledger in {self.state_dir} cannot be read: {error}") from error

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
