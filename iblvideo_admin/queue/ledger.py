"""The ledger: one SQLite file that says what every job is and was.  The job folders are the truth beneath it."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths, Request, job_folder
from iblvideo_admin.queue.states import CLOCK_SLACK_S, TRANSITIONS, Held, Started, State, Waiting, from_data
from iblvideo_admin.queue.whole_queue import WholeQueue
from iblvideo_admin.sessions import Video

LARGEST_NUMBER = 2**63 - 1  # of SQLite
_RECENT = 50  # jobs of a camera, for this server's own speed
_COLUMNS = (
    "id, video, subject, date, number, camera, priority, attempts, deaths, wish, acknowledged, pruned, created, state"
)


@dataclass(frozen=True)
class Job:
    """A row of the ledger.

    ``attempts`` are those that count, ``deaths`` how often its process died by itself; ``wish`` is ``cancel`` where
    a person wants a running job to end; ``acknowledged`` and ``pruned`` are when that happened, or None.
    """

    id: int
    video: str
    subject: str
    date: str
    number: str
    camera: str
    priority: int
    attempts: int
    deaths: int
    wish: str
    acknowledged: float | None
    pruned: float | None
    created: float
    state: State

    @property
    def session(self) -> str:
        """For people: subject/date/number."""
        return f"{self.subject}/{self.date}/{self.number}"

    def as_data(self) -> dict[str, Any]:
        """As plain values, the state's own fields beneath ``state``."""
        return {**vars(self), "status": self.state.status, "state": self.state.as_data(), "session": self.session}


class Ledger(WholeQueue):
    """The ledger of a state folder, made on first use.  Raises ``state.not_usable``."""

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- changes

    def add(self, video: Video, request: Request, *, priority: int = 0, number: int | None = None) -> Job:
        """A new job for a video, Waiting.  One video has one job: use :meth:`job_of` first.

        ``number`` is that of a folder which is there already.
        """
        now = time.time()
        state = Waiting(now)
        with self.transaction():
            fresh = number is None
            if number is None:
                number = self._free_number()
            self._db.execute(
                "INSERT INTO jobs (id, video, subject, date, number, camera, priority, created, since, status, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, str(video.path), video.subject, video.date, video.number, video.camera.name, priority,
                 now, now, state.status, json.dumps(state.as_data())),
            )  # fmt: skip
            if fresh:
                self.paths(number).make(request)
            self._note(number, state.status, "added")
        return self.job(number)

    def again(self, job: Job, request: Request, why: str) -> Job:
        """Put an ended job back to Waiting, with a new request, as if it had never been tried."""
        with self.transaction():
            paths = self.paths(job.id)
            paths.make(request)
            # from here on the folder says "not done": a crash before the ledger says so is settled by a repair
            paths.set_aside(job.attempts)
            self._db.execute(
                "UPDATE jobs SET attempts = 0, deaths = 0, wish = '', acknowledged = NULL, pruned = NULL WHERE id = ?",
                (job.id,),
            )
            return self.move(job.id, Waiting(time.time()), why)

    def move(self, number: int, state: State, why: str, *, attempts: int = 0, deaths: int = 0) -> Job:
        """Change a job's state, and add to what is counted.

        Raises ``queue.not_possible`` where the table of transitions forbids it.
        """
        with self.transaction():
            job = self.job(number)
            if state.status not in TRANSITIONS[job.state.status]:
                raise UserError(
                    "queue.not_possible", f"job {number} is {job.state.status} and cannot become {state.status}"
                )
            self._store(number, state, why)
            wish = job.wish if state.status == "Started" else ""
            self._db.execute(
                "UPDATE jobs SET attempts = attempts + ?, deaths = deaths + ?, wish = ? WHERE id = ?",
                (attempts, deaths, wish, number),
            )
        return self.job(number)

    def correct(self, number: int, state: State, why: str) -> Job:
        """Make a row say what its folder says, whatever it said before."""
        with self.transaction():
            self._store(number, state, why)
        return self.job(number)

    def claim(self, number: int, started: Started) -> Job | None:
        """A Waiting job, Started by whoever asks; None where it is not Waiting any more, or the queue is held now."""
        with self.transaction():
            if self.job(number).state.status != "Waiting" or self.hold_now() is not None:
                return None
            return self.move(number, started, f"started on {started.device}")

    def amend(self, number: int, state: State) -> None:
        """Complete what is known of a job's state; its status stays."""
        with self.transaction():
            self._db.execute(
                "UPDATE jobs SET state = ? WHERE id = ? AND status = ?",
                (json.dumps(state.as_data()), number, state.status),
            )

    def mark(self, number: int, **columns: Any) -> Job:
        """Set ``priority``, ``wish``, ``acknowledged``, ``pruned`` or what is counted; the state stays."""
        with self.transaction():
            for name, value in columns.items():
                self._db.execute(f"UPDATE jobs SET {name} = ? WHERE id = ?", (value, number))  # noqa: S608  our own names
        return self.job(number)

    # ---------------------------------------------------------------------------------------- questions

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

    def last(self, status: str) -> Job | None:
        """The job that is of this status since the latest time."""
        return next(self._select("WHERE status = ? ORDER BY since DESC LIMIT 1", (status,)), None)

    def numbers(self, *statuses: str) -> set[int]:
        """The numbers of the jobs of some statuses: cheaper than the jobs."""
        marks = ", ".join("?" * len(statuses))
        return {number for (number,) in self._rows(f"SELECT id FROM jobs WHERE status IN ({marks})", statuses)}  # noqa: S608

    def next(self, now: float, only: Collection[int] | None = None) -> Job | None:
        """The job to run now: Waiting and due, highest priority first, then the oldest (the lowest number).

        A job waits no longer than it was told to, and one whose state is from the future (the clock was set back)
        not at all.  ``only`` limits the choice to these jobs.
        """
        rows = self._rows(
            "SELECT id FROM jobs WHERE status = 'Waiting' AND (due <= ? OR since > ?) ORDER BY priority DESC, id",
            (now, now + CLOCK_SLACK_S),
        )
        number = next((number for (number,) in rows if only is None or number in only), None)
        return None if number is None else self.job(number)

    def wishes(self) -> set[int]:
        """The running jobs that a person wants to end."""
        return {number for (number,) in self._rows("SELECT id FROM jobs WHERE wish = 'cancel' AND status = 'Started'")}

    def overdue_holds(self, now: float) -> list[Job]:
        """Held jobs whose time has come."""
        held = (job for job in self.jobs("Held") if isinstance(job.state, Held))
        return [job for job in held if isinstance(job.state, Held) and 0 < job.state.until <= now]

    def counts(self) -> dict[str, int]:
        """The number of jobs in each status, all of them named."""
        found = dict(self._rows("SELECT status, count(*) FROM jobs GROUP BY status"))
        return {status: found.get(status, 0) for status in TRANSITIONS}

    def by_number(self) -> dict[int, str]:
        """Every job's status; cheap for very many."""
        return dict(self._rows("SELECT id, status FROM jobs ORDER BY id"))

    def unpruned(self) -> set[int]:
        """The jobs that should have their folder."""
        return {number for (number,) in self._rows("SELECT id FROM jobs WHERE pruned IS NULL")}

    def statuses(self) -> dict[str, str]:
        """Of every video that has a job, by its path."""
        return dict(self._rows("SELECT video, status FROM jobs"))

    def speeds(self) -> dict[str, float]:
        """Frames per second of whole jobs, by camera, over this server's latest Complete ones."""
        rows = self._rows(
            "SELECT camera, sum(frames), sum(seconds) FROM (SELECT camera, json_extract(state, '$.frames') AS frames,"
            " json_extract(state, '$.seconds') AS seconds, row_number() OVER (PARTITION BY camera ORDER BY since DESC)"
            " AS place FROM jobs WHERE status = 'Complete') WHERE place <= ? AND frames > 0 GROUP BY camera",
            (_RECENT,),
        )
        return {camera: frames / seconds for camera, frames, seconds in rows if seconds > 0}

    def done_by_camera(self) -> dict[str, dict[str, float]]:
        """Of all Complete jobs, by camera: how many ``jobs``, their ``frames`` and the ``seconds`` that they took."""
        rows = self._rows(
            "SELECT camera, count(*), total(json_extract(state, '$.frames')), total(json_extract(state, '$.seconds'))"
            " FROM jobs WHERE status = 'Complete' GROUP BY camera"
        )
        return {camera: {"jobs": jobs, "frames": int(frames), "seconds": s} for camera, jobs, frames, s in rows}

    def select(self, where: str, values: Iterable[Any]) -> list[Job]:
        """The jobs of a condition of :mod:`queue.listing`."""
        return list(self._select(where, values))

    def paths(self, number: int) -> JobPaths:
        """A job's folder."""
        return job_folder(self.state_dir, number)

    # ---------------------------------------------------------------------------------------- helpers

    def _store(self, number: int, state: State, why: str) -> None:
        data = state.as_data()
        self._db.execute(
            "UPDATE jobs SET status = ?, state = ?, since = ?, due = ?, code = ? WHERE id = ?",
            (state.status, json.dumps(data), state.since, data.get("not_before", 0.0), data.get("code", ""), number),
        )
        self._note(number, state.status, why)

    def _free_number(self) -> int:
        """The next number without a folder: one of a job that was never entered is for a repair to look at."""
        number = next((seq for (seq,) in self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")), 0) + 1
        while self.paths(number).request.exists():
            number += 1
        return int(number)

    def _select(self, where: str, values: Iterable[Any] = ()) -> Iterator[Job]:
        """Jobs, one by one: who wants the first of many does not pay for all."""
        for row in self._rows(f"SELECT {_COLUMNS} FROM jobs {where}", values):  # noqa: S608  our own text
            yield Job(*(*row[:-1], from_data(json.loads(row[-1]))))
