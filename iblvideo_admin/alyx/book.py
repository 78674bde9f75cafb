"""What the ledger knows of Alyx: the tasks that we claimed, their cameras, the outbox, and what was last seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.states import ENDED

UNDER_WAY = ("claiming", "preparing", "tracking")
_TASK = "id, place, name, session, nonce, phase, since, folder, because"
_LETTER = "id, task, kind, data, since, attempts, due, sent, error, done, outcome"


@dataclass(frozen=True)
class Task:
    """A task that we claimed, or are about to: see ``schema_3.sql``."""

    id: str
    place: str
    name: str
    session: str
    nonce: str
    phase: str
    since: float
    folder: str
    because: str


@dataclass(frozen=True)
class TaskCamera:
    """One camera of a task: its job, or why it has none (``code``; empty: its table was there)."""

    task: str
    camera: str
    job: int | None
    made: bool
    code: str
    message: str


@dataclass(frozen=True)
class Letter:
    """Something that is to be told to Alyx."""

    id: int
    task: str
    kind: str
    data: dict[str, Any]
    since: float
    attempts: int
    due: float
    sent: float
    error: str
    done: float | None
    outcome: str


class Book:
    """The tables of ``schema_3.sql`` in a ledger; several changes that belong together go into one transaction."""

    def __init__(self, ledger: Ledger, place: str = "") -> None:
        self.ledger, self.place = ledger, place

    # ---------------------------------------------------------------------------------------- tasks

    def task(self, task: str) -> Task | None:
        """A task, if we ever claimed it."""
        rows = self.ledger.ask(f"SELECT {_TASK} FROM tasks WHERE id = ?", (task,))  # noqa: S608  our own text
        return Task(*rows[0]) if rows else None

    def tasks(self, *phases: str) -> list[Task]:
        """The place's tasks of these phases, oldest first."""
        marks = ", ".join("?" * len(phases))
        question = f"SELECT {_TASK} FROM tasks WHERE place = ? AND phase IN ({marks}) ORDER BY since, id"  # noqa: S608
        return [Task(*row) for row in self.ledger.ask(question, (self.place, *phases))]

    def claim(self, task: str, name: str, session: str, nonce: str) -> Task:
        """Say that a task is about to be claimed; whatever was known of an earlier claim is forgotten."""
        with self.ledger.transaction():
            self.ledger.change("DELETE FROM outbox WHERE task = ?", (task,))
            self.ledger.change("DELETE FROM task_cameras WHERE task = ?", (task,))
            self.ledger.change(
                "INSERT INTO tasks (id, place, name, session, nonce, phase, since)"
                " VALUES (?, ?, ?, ?, ?, 'claiming', ?) ON CONFLICT (id) DO UPDATE SET"
                " nonce = excluded.nonce, place = excluded.place,"
                " phase = 'claiming', since = excluded.since, because = ''",
                (task, self.place, name, session, nonce, time.time()),
            )
        found = self.task(task)
        assert found is not None
        return found

    def set_phase(self, task: str, phase: str, because: str = "") -> None:
        """A task is further."""
        self.ledger.change("UPDATE tasks SET phase = ?, because = ? WHERE id = ?", (phase, because, task))

    def set_folder(self, task: str, folder: str) -> None:
        """Where a task's session lies."""
        self.ledger.change("UPDATE tasks SET folder = ? WHERE id = ?", (folder, task))

    def folder_of(self, session: str) -> str:
        """Where a session lies, if a task of ours was about it; empty otherwise."""
        rows = self.ledger.ask("SELECT folder FROM tasks WHERE session = ? AND folder != '' LIMIT 1", (session,))
        return str(rows[0][0]) if rows else ""

    def sessions(self) -> dict[str, str]:
        """Session folder -> Alyx's id, of all tasks that we ever claimed."""
        return dict(self.ledger.ask("SELECT folder, session FROM tasks WHERE folder != ''"))

    # ---------------------------------------------------------------------------------------- cameras

    def add_camera(self, camera: TaskCamera) -> None:
        """A camera of a task."""
        self.ledger.change(
            "INSERT OR REPLACE INTO task_cameras (task, camera, job, made, code, message) VALUES (?, ?, ?, ?, ?, ?)",
            (camera.task, camera.camera, camera.job, camera.made, camera.code, camera.message),
        )

    def cameras(self, task: str) -> list[TaskCamera]:
        """Those of a task."""
        rows = self.ledger.ask(
            "SELECT task, camera, job, made, code, message FROM task_cameras WHERE task = ? ORDER BY rowid", (task,)
        )
        return [TaskCamera(t, camera, job, bool(made), code, message) for t, camera, job, made, code, message in rows]

    def is_wanted_by_another(self, job: int, task: str) -> bool:
        """Whether a task under way, other than this one, waits for a job."""
        marks = ", ".join("?" * len(UNDER_WAY))
        question = (
            "SELECT count(*) FROM task_cameras JOIN tasks ON tasks.id = task_cameras.task"  # noqa: S608  our own text
            f" WHERE task_cameras.job = ? AND tasks.id != ? AND tasks.phase IN ({marks})"
        )
        return bool(self.ledger.ask(question, (job, task, *UNDER_WAY))[0][0])

    def unfinished(self) -> int:
        """Tasks under way of which something is still to be done without a person."""
        statuses = self.ledger.by_number()
        count = 0
        for task in self.tasks(*UNDER_WAY):
            jobs = [statuses.get(c.job, "") for c in self.cameras(task.id) if c.job is not None]
            still = [status for status in jobs if status not in ENDED]
            count += not still or any(status != "Held" for status in still)
        return count

    # ---------------------------------------------------------------------------------------- the outbox

    def post(self, task: str, kind: str, data: dict[str, Any]) -> None:
        """Put something into the outbox."""
        self.ledger.change(
            "INSERT INTO outbox (task, kind, data, since) VALUES (?, ?, ?, ?)",
            (task, kind, json.dumps(data), time.time()),
        )

    def letters(self, task: str = "") -> list[Letter]:
        """What is not settled yet, in order; or everything of a task."""
        where = "task = ?" if task else "done IS NULL"
        values = (task,) if task else ()
        rows = self.ledger.ask(f"SELECT {_LETTER} FROM outbox WHERE {where} ORDER BY id", values)  # noqa: S608
        return [Letter(*(*row[:3], json.loads(row[3]), *row[4:])) for row in rows]

    def waiting(self) -> list[Letter]:
        """What is to be told to this place, in order."""
        mine = {task for (task,) in self.ledger.ask("SELECT id FROM tasks WHERE place = ?", (self.place,))}
        return [letter for letter in self.letters() if letter.task in mine]

    def has_letters(self, task: str) -> bool:
        """Whether something of a task is still to be told."""
        return any(letter.done is None for letter in self.letters(task))

    def sent(self, letter: Letter, moment: float) -> None:
        """A request is under way since then (0: none is, its answer came)."""
        self.ledger.change("UPDATE outbox SET sent = ? WHERE id = ?", (moment, letter.id))

    def put_off(self, letter: Letter, until: float, error: str, *, attempts: int = 0) -> None:
        """It did not work now."""
        self.ledger.change(
            "UPDATE outbox SET due = ?, error = ?, attempts = attempts + ? WHERE id = ?",
            (until, error, attempts, letter.id),
        )

    def settle(self, letter: Letter, outcome: str, error: str = "") -> None:
        """It was told (``done``), is not to be told any more (``overtaken``), or cannot be (``failed``)."""
        self.ledger.change(
            "UPDATE outbox SET done = ?, outcome = ?, error = ?, sent = 0, data = ? WHERE id = ?",
            (time.time(), outcome, error, json.dumps(_short(letter.data)), letter.id),
        )

    # ---------------------------------------------------------------------------------------- what was last seen

    def note(self, name: str, value: Any) -> None:
        """Remember something about this place."""
        self.ledger.change(
            "INSERT OR REPLACE INTO alyx (name, since, value) VALUES (?, ?, ?)",
            (f"{name} {self.place}", time.time(), json.dumps(value)),
        )

    def noted(self, name: str) -> tuple[float, Any] | None:
        """Since when, and what; None where nothing is known."""
        rows = self.ledger.ask("SELECT since, value FROM alyx WHERE name = ?", (f"{name} {self.place}",))
        return (rows[0][0], json.loads(rows[0][1])) if rows else None

    def all_noted(self, name: str) -> Iterable[tuple[str, float, Any]]:
        """Of every place: which, since when, and what."""
        rows = self.ledger.ask("SELECT name, since, value FROM alyx WHERE name LIKE ?", (f"{name} %",))
        return [(place.partition(" ")[2], since, json.loads(value)) for place, since, value in rows]


def _short(data: dict[str, Any]) -> dict[str, Any]:
    """Without the logs: they are in Alyx now."""
    return {name: value for name, value in data.items() if name != "log"}
