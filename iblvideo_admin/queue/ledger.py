"""The ledger: one SQLite file that says what every job is and was.  The job folders are the truth beneath it."""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import schema
from iblvideo_admin.queue.job import JobPaths, Request, job_folder
from iblvideo_admin.queue.states import TRANSITIONS, State, Waiting, from_data
from iblvideo_admin.sessions import Video

LARGEST_NUMBER = 2**63 - 1  # of SQLite


@dataclass(frozen=True)
class Job:
    """A row of the ledger."""

    id: int
    video: str
    subject: str
    date: str
    number: str
    camera: str
    priority: int
    attempts: int
    created: float
    state: State

    @property
    def session(self) -> str:
        """For people: subject/date/number."""
        return f"{self.subject}/{self.date}/{self.number}"

    def as_data(self) -> dict[str, Any]:
        """As plain values, the state's own fields beneath ``state``."""
        return {**vars(self), "status": self.state.status, "state": self.state.as_data(), "session": self.session}


@dataclass(frozen=True)
class Event:
    """A change of a job."""

    time: float
    status: str
    who: str
    why: str


class Ledger:
    """The ledger of a state folder, made on first use.  Raises ``state.not_usable``."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        path = state_dir / "ledger.sqlite"
        try:
            (state_dir / "jobs").mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            if not schema.is_current(self._db):
                with self.transaction():
                    schema.migrate(self._db, f"the ledger in {state_dir}")
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError("state.not_usable", f"{path} cannot be used: {reason}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- jobs

    def add(self, video: Video, request: Request) -> Job:
        """A new job for a video, Waiting.  One video has one job: use :meth:`job_of` first."""
        now = time.time()
        state = Waiting(now)
        with self.transaction():
            row = (str(video.path), video.subject, video.date, video.number, video.camera.name, now)
            cursor = self._db.execute(
                "INSERT INTO jobs (video, subject, date, number, camera, created, status, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, state.status, json.dumps(state.as_data())),
            )
            number = int(cursor.lastrowid or 0)
            paths = job_folder(self.state_dir, number)
            self._folder(paths, request)
            self._note(number, state.status, "added")
        return self.job(number)

    def again(self, job: Job, request: Request, why: str) -> Job:
        """Put an ended job back to Waiting, with a new request."""
        self.paths(job.id).set_aside(job.attempts)
        self._folder(self.paths(job.id), request)
        with self.transaction():
            self._db.execute("UPDATE jobs SET attempts = 0 WHERE id = ?", (job.id,))
        return self.move(job.id, Waiting(time.time()), why)

    def move(self, number: int, state: State, why: str, *, attempts: int | None = None) -> Job:
        """Change a job's state.  Raises ``queue.not_possible`` where the table of transitions forbids it."""
        with self.transaction():
            job = self.job(number)
            if state.status not in TRANSITIONS[job.state.status]:
                raise UserError(
                    "queue.not_possible", f"job {number} is {job.state.status} and cannot become {state.status}"
                )
            self._db.execute(
                "UPDATE jobs SET status = ?, state = ?, attempts = ? WHERE id = ?",
                (state.status, json.dumps(state.as_data()), job.attempts if attempts is None else attempts, number),
            )
            self._note(number, state.status, why)
        return self.job(number)

    def amend(self, number: int, state: State) -> None:
        """Complete what is known of a job's state; its status stays."""
        with self.transaction():
            self._db.execute(
                "UPDATE jobs SET state = ? WHERE id = ? AND status = ?",
                (json.dumps(state.as_data()), number, state.status),
            )

    def job(self, number: int) -> Job:
        """A job by its number.  Raises ``queue.job_unknown``."""
        jobs = list(self._select("WHERE id = ?", (number,))) if number <= LARGEST_NUMBER else []
        if not jobs:
            raise UserError("queue.job_unknown", f"there is no job {number}")
        return jobs[0]

    def job_of(self, video: Video) -> Job | None:
        """The job of a video, if it has one."""
        return next(self._select("WHERE video = ?", (str(video.path),)), None)

    def jobs(self, *statuses: str) -> list[Job]:
        """All jobs, or those of some statuses, in the order of their numbers."""
        marks = ", ".join("?" * len(statuses))
        return list(self._select(f"WHERE status IN ({marks}) ORDER BY id" if statuses else "ORDER BY id", statuses))

    def numbers(self, *statuses: str) -> set[int]:
        """The numbers of the jobs of some statuses: cheaper than the jobs."""
        marks = ", ".join("?" * len(statuses))
        return {number for (number,) in self._rows(f"SELECT id FROM jobs WHERE status IN ({marks})", statuses)}  # noqa: S608

    def next(self, now: float, only: Collection[int] | None = None) -> Job | None:
        """The job to run now: Waiting and due, highest priority first, then the oldest."""
        for job in self._select("WHERE status = 'Waiting' ORDER BY priority DESC, id"):
            if (only is None or job.id in only) and isinstance(job.state, Waiting) and job.state.is_due(now):
                return job
        return None

    def counts(self) -> dict[str, int]:
        """The number of jobs in each status, all of them named."""
        found = dict(self._rows("SELECT status, count(*) FROM jobs GROUP BY status"))
        return {status: found.get(status, 0) for status in TRANSITIONS}

    def events(self, number: int) -> list[Event]:
        """What happened to a job, oldest first."""
        rows = self._rows("SELECT time, status, who, why FROM events WHERE job = ? ORDER BY rowid", (number,))
        return [Event(*row) for row in rows]

    def paths(self, number: int) -> JobPaths:
        """A job's folder."""
        return job_folder(self.state_dir, number)

    # ---------------------------------------------------------------------------------------- the whole queue

    def held(self) -> str | None:
        """Why no job may be started, by whom and since when; None where the queue runs."""
        held, since, who, why = next(self._rows("SELECT held, since, who, why FROM queue"))
        if not held:
            return None
        return f"by {who} since {time.strftime('%Y-%m-%d %H:%M', time.localtime(since))}" + (f": {why}" if why else "")

    def hold(self, held: bool, why: str = "") -> None:
        """Hold or release the whole queue; running jobs go on."""
        with self.transaction():
            self._db.execute("UPDATE queue SET held = ?, since = ?, who = ?, why = ?", (held, time.time(), _who(), why))
            self._note(None, "held" if held else "released", why)

    # ---------------------------------------------------------------------------------------- helpers

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

    def _folder(self, paths: JobPaths, request: Request) -> None:
        try:
            paths.folder.mkdir(exist_ok=True)
            paths.write_request(request)
        except OSError as error:
            raise UserError("state.not_usable", f"{paths.folder} cannot be written: {error.strerror}") from error

    def _select(self, where: str, values: Iterable[Any] = ()) -> Iterator[Job]:
        """Jobs, one by one: who wants the first of many does not pay for all."""
        columns = "id, video, subject, date, number, camera, priority, attempts, created, state"
        for row in self._rows(f"SELECT {columns} FROM jobs {where}", values):  # noqa: S608  our own text
            yield Job(*(*row[:-1], from_data(json.loads(row[-1]))))

    def _rows(self, question: str, values: Iterable[Any] = ()) -> Iterator[Any]:
        try:
            yield from self._db.execute(question, tuple(values))
        except sqlite3.Error as error:
            raise UserError("state.not_usable", f"the ledger in {self.state_dir} cannot be read: {error}") from error

    def _note(self, number: int | None, status: str, why: str) -> None:
        self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (time.time(), number, status, _who(), why))

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _who() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
