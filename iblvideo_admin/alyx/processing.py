"""``process --source alyx``: tasks become jobs, the queue runs them, and Alyx hears what became of them.

Alyx is asked in a thread beside the work, one look at a time: whatever it does, jobs are started, watched and ended.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from iblvideo_admin.alyx import session_rows, taking
from iblvideo_admin.alyx.book import Book
from iblvideo_admin.alyx.client import Client, require_names
from iblvideo_admin.alyx.drain import Drain
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.queue import plan as planning
from iblvideo_admin.queue import processing, repair
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.observer import Observer
from iblvideo_admin.queue.service import Service
from iblvideo_admin.queue.states import ENDED
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.queue.worker import LOOK_S, Worker
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.settings import Settings

_SHOWN = 20  # sessions that a dry run asks for: each is a request
_LEAVE_S = 5.0


class Beside:
    """Looks into Alyx, one look at a time, in a thread; ``trouble`` is why the latest one failed."""

    def __init__(self, drain: Drain, observer: Observer) -> None:
        self.drain = drain
        self.trouble: UserError | None = None
        self.started, self.progress, self.idle, self.note = (
            observer.started, observer.progress, observer.idle, observer.note,
        )  # fmt: skip
        self._observer = observer
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._told = ""
        self.looks = 0

    def ended(self, job: Job) -> None:
        """A job has ended: Alyx hears of it soon, where it listens."""
        self._observer.ended(job)
        if self.trouble is None and job.state.status in ENDED:
            self.drain.next_at = 0.0

    def turn(self) -> str:
        """Begin a look where it is time and none is under way; gives the trouble, in words."""
        if self.is_looking():
            return self._told
        if self._thread is not None:
            self._thread = None
            self.looks += 1
            self._heard()
        if time.monotonic() >= self.drain.next_at:
            self._thread = threading.Thread(target=self._look, name="alyx-drain", daemon=True)
            self._thread.start()
        return self._told

    def is_looking(self) -> bool:
        """Whether a look is under way."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Let a look end that is nearly done; what it was at is found in the ledger."""
        if self._thread is not None:
            self._thread.join(_LEAVE_S)
        self.drain.close()

    def _look(self) -> None:
        self._failure = None
        try:
            with Ledger(self.drain.settings.state_dir) as ledger:
                self.drain.turn(ledger)
        except (TroubleError, UserError) as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001  a bug here must not end the tracking
            with suppress(OSError):
                traceback.print_exc()
            self._failure = error

    def _heard(self) -> None:
        for note in self.drain.notes:
            self._observer.note(note)
        self.drain.notes.clear()
        failure = self._failure
        if failure is None:
            self.trouble = None
        elif isinstance(failure, TroubleError):
            self.trouble = failure.as_error()
        else:
            self.drain.next_at = max(self.drain.next_at, time.monotonic() + self.drain.settings.alyx_every_s)
            if not isinstance(failure, UserError):
                failure = UserError("bug", f"{type(failure).__name__}: {failure}")
            self.trouble = failure
        told = "" if self.trouble is None else self.trouble.message
        if told and told != self._told:
            self._observer.note(told)
        self._told = told


def process(settings: Settings, observer: Observer, *, since: str = "", max_jobs: int | None = None) -> Result:
    """Take this server's tasks until none waits, run their jobs, and report each."""
    processing.require_ready(processing.Wishes(), settings)
    drain = Drain(settings, since=since)
    beside = Beside(drain, observer)
    try:
        ledger, changes = repair.open_repaired(settings)
        with ledger, Stop() as stop:
            begun = time.time()
            worker = Worker(ledger, settings, beside, stop, most=max_jobs)
            _work(worker, beside, ledger, stop)
            jobs = [job for job in ledger.jobs() if job.state.status not in ENDED or job.state.since >= begun]
            return _result(beside, ledger, jobs, [change.as_data() for change in changes])
    finally:
        beside.close()


def _work(worker: Worker, beside: Beside, ledger: Ledger, stop: Stop) -> None:
    """Until nothing is left, or Alyx is away and every job has ended and was told of in vain."""
    ended_at = -1
    try:
        while True:
            beside.turn()
            if stop.asked:
                raise KeyboardInterrupt
            if not worker.is_over():
                ended_at = -1
                worker.turn()
            elif beside.looks and not beside.is_looking():
                if ended_at < 0:
                    ended_at = beside.looks
                    beside.drain.next_at = 0.0  # once more, now that all is done
                elif beside.looks > ended_at and worker.is_over():
                    # jobs that wait, and a worker that has nothing to do: held, or as many as were asked for
                    if beside.trouble is not None or beside.drain.is_over(ledger) or ledger.numbers("Waiting"):
                        return
                    if worker.is_over() and beside.drain.left:
                        beside.drain.next_at = min(beside.drain.next_at, time.monotonic() + LOOK_S)
            stop.wait(LOOK_S)
    finally:
        worker.leave("interrupted")


def watch(load: Callable[[], Settings], observer: Observer, *, since: str = "") -> Result:
    """Do so until SIGTERM."""
    settings = load()
    processing.require_ready(processing.Wishes(), settings)
    drain = Drain(settings, since=since, cautious=True)
    beside = Beside(drain, observer)
    try:
        with Stop() as stop:
            ledger, changes = repair.open_repaired(settings)
            with ledger:
                nothing = planning.Plan((), ())
                service = Service(ledger, load, beside, lambda *_: nothing, lambda *_: [], stop, beside.turn)
                repaired = [change.as_data() for change in changes]
                return Result(processing.COMMAND, {"watched": True, "queue": service.run(), "repaired": repaired})
    finally:
        beside.close()


def dry_run(settings: Settings) -> Result:
    """Which tasks wait; changes nothing."""
    require_names(settings)
    client = Client(settings)
    try:
        rows = taking.waiting(client)
        tasks = [
            {
                "id": row["id"],
                "name": row["name"],
                "session": row["session"],
                "priority": row.get("priority"),
                "path": None,
            }
            for row in rows
        ]
        for task in tasks[:_SHOWN]:
            session = session_rows.read(client, task["session"])
            task["path"] = str(session.folder(settings.subjects_dir))
    except TroubleError as trouble:
        raise trouble.as_error() from None
    data = {"dry_run": True, "tasks": tasks, "videos": [], "skipped": [], "gpu_days": None, "gpu_days_unknown_for": []}
    return Result(processing.COMMAND, data)


def _result(beside: Beside, ledger: Ledger, jobs: list[Job], repaired: list[dict[str, Any]]) -> Result:
    book = Book(ledger, beside.drain.place)
    waiting = book.waiting()
    if beside.trouble is not None and not jobs and not waiting and not book.unfinished():
        raise beside.trouble
    data = {
        "jobs": [processing.told(job) for job in jobs],
        "skipped": [],
        "queue": ledger.counts(),
        "repaired": repaired,
        "outbox": len(waiting),
    }
    exit_code, problems = processing.failures(planning.Plan((), ()), jobs)
    if beside.trouble is not None:
        problems = (*problems, Problem.of(beside.trouble))
    problems += tuple(Problem.of(UserError("alyx.refused", told)) for told in beside.drain.failing(book))
    if (held := ledger.held()) is not None:
        problems = (*problems, Problem.of(UserError("queue.held", f"the queue is held {held}; no task was taken")))
    return Result(processing.COMMAND, data, FAILED if problems else exit_code, problems)
