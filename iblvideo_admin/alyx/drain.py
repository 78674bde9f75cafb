"""One look into Alyx: deliver, see what others did, end what has ended, and take what there is room for.

One drain serves a repository, on one server: it holds a lock in ``lock_dir`` while it lives.  Everything it knows is in
the ledger, so that it may be killed at any moment; the jobs themselves belong to the queue, which goes on without it.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from iblvideo_admin.alyx import delivery, downloads, groups, session_rows, taking
from iblvideo_admin.alyx.book import Book, Task
from iblvideo_admin.alyx.client import Client, require_names
from iblvideo_admin.alyx.fetcher import Fetcher
from iblvideo_admin.alyx.registering import SETTLE
from iblvideo_admin.alyx.retries import Retries, wait_s
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.devices import out_of_hours
from iblvideo_admin.queue.lease import Lease, make_folder
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

_MOST_SAID = 1000


class Drain:
    """Takes a repository's tasks.  Raises ``alyx.not_configured``, ``alyx.not_ours`` or ``alyx.busy``."""

    def __init__(self, settings: Settings, *, since: str = "", cautious: bool = False) -> None:
        if settings.dlc_tasks != "iblvideo-admin":
            if settings.dlc_tasks != "ibllib":
                raise UserError(
                    "settings.invalid", f"dlc_tasks must be iblvideo-admin or ibllib, not {settings.dlc_tasks!r}"
                )
            raise UserError("alyx.not_ours", 'dlc_tasks = "ibllib": ibllib takes this repository\'s DLC tasks')
        require_names(settings)
        self.settings, self.client = settings, Client(settings, close=True)
        self.place = f"{self.client.url} {settings.data_repository}"
        self.left = 0
        """Waiting tasks that were there at the last look and were not taken."""
        self.notes: list[str] = []
        self.next_at = 0.0
        """When to look again, by the clock since boot."""
        self._since, self._cautious = since, cautious
        self._failures = 0
        self._retries = Retries(settings.alyx_every_s)
        self._fetcher = Fetcher(settings, self.client)
        self._said: set[str] = set()
        make_folder(settings.lock_dir)
        name = hashlib.sha256(self.place.encode()).hexdigest()[:24]
        lease = Lease.take(settings.lock_dir / f"alyx-{name}")
        if lease is None:
            raise UserError("alyx.busy", f"another process takes the tasks of {settings.data_repository}")
        self._lease = lease

    def close(self) -> None:
        """Let another have the repository."""
        self._fetcher.stop()
        self._lease.release()

    def turn(self, ledger: Ledger) -> None:
        """Look once.

        Raises :class:`TroubleError` where Alyx is away or refuses the login: everything stays as it is.
        """
        book = Book(ledger, self.place)
        self._finish(book)
        try:
            self.notes += delivery.deliver(book, self.client)
            self._tidy(book)
            self._look_after(book)
            self._prepare(book)
            self._finish(book)
            self.notes += delivery.deliver(book, self.client)
            self._take(book)
        except TroubleError as trouble:
            self._failures += 1
            self.next_at = time.monotonic() + max(
                wait_s(self.settings.alyx_every_s, self._failures), trouble.retry_after_s
            )
            book.note("trouble", trouble.message)
            raise
        self._failures = 0
        self.next_at = time.monotonic() + self.settings.alyx_every_s
        book.note("trouble", "")
        book.note("contact", time.time())

    def is_over(self, ledger: Ledger) -> bool:
        """Whether nothing is left to do, but for what failed and is tried again later (:meth:`failing`)."""
        book = Book(ledger, self.place)
        held = ledger.hold_now() is not None
        letters = book.waiting()
        failing = {letter.task for letter in letters if letter.attempts}
        waiting = [letter for letter in letters if letter.task not in failing]
        return not self.left and not waiting and (held or book.unfinished() <= len(self._without_videos(book)))

    def failing(self, book: Book) -> list[str]:
        """What waits because it failed, each with the reason."""
        told = [f"task {x.task}, {x.kind}: {x.error}" for x in book.waiting() if x.attempts]
        return told + [f"task {task}: {self._fetcher.failing[task]}" for task in self._without_videos(book)]

    def _without_videos(self, book: Book) -> list[str]:
        """Tasks whose videos do not come just now."""
        return [task.id for task in book.tasks("preparing") if task.id in self._fetcher.failing]

    # ---------------------------------------------------------------------------------------- what is ours

    def _look_after(self, book: Book) -> None:
        """See what became of our tasks in Alyx: one that is not Started any more is somebody else's business."""
        for task in book.tasks("preparing", "tracking"):
            try:
                status = str(self.client.read("tasks", task.id).get("status"))
            except TroubleError as trouble:
                if trouble.kind != "refused":
                    raise
                status = "gone"
            if status != "Started":
                groups.leave(book, task, f"somebody made it {status} in Alyx")
                self._say(f"task {task.id}: somebody made it {status} in Alyx; it is left")

    def _prepare(self, book: Book) -> None:
        """Make jobs of what is claimed; a claim of which no answer came is looked into once it must be over."""
        for task in book.tasks("claiming"):
            if not 0 <= time.time() - task.since < SETTLE * self.client.limit_s:
                try:
                    taking.confirm(book, self.client, task)
                except TroubleError as trouble:
                    self._say_of(task.id, trouble)
        for task in book.tasks("preparing"):
            self._make_jobs(book, task)

    def _make_jobs(self, book: Book, task: Task) -> None:
        try:
            row = self.client.read("tasks", task.id)
            session = session_rows.read(self.client, task.session)
            group = groups.plan(row, session, self.settings)
            folder = session.folder(self.settings.subjects_dir)
            book.set_folder(task.id, str(folder))
            if not self._has_all(task, folder, group):
                return
            groups.keep_protected(group, self.client)
        except TroubleError as trouble:
            self._say_of(task.id, trouble)
            if trouble.kind == "broken" and self._retries.again(task.id):
                return
            group = groups.Group(refused={"all": trouble.as_refusal()})
        groups.enter(book, task, group)

    def _has_all(self, task: Task, folder: Path, group: groups.Group) -> bool:
        """Whether no video is waited for: all are here, or cannot be had."""
        for name, remote in group.fetch.items():
            refused = self._fetcher.look(task, Video(folder, CAMERAS[name]), remote)
            if refused is None:
                if task.id in self._fetcher.failing:
                    self._say(self._fetcher.failing[task.id])
                return False
            group.refused[name] = refused
        return True

    def _say_of(self, task: str, trouble: TroubleError) -> None:
        """Something about one task alone: the others go on.  Raises it where it is about all."""
        if trouble.kind in ("away", "login"):
            raise trouble
        self._say(f"task {task}: {trouble.message}")

    def _say(self, text: str) -> None:
        """Tell people, once."""
        if text not in self._said:
            self._said = self._said if len(self._said) < _MOST_SAID else set()
            self._said.add(text)
            self.notes.append(text)

    def _finish(self, book: Book) -> None:
        """Post the end of every task whose jobs have all ended."""
        for task in book.tasks("tracking"):
            groups.finish(book, task, list(self.client.secrets()))

    def _tidy(self, book: Book) -> None:
        """Remove what was fetched, once all is told."""
        if self.settings.alyx_keep_downloads:
            return
        rows = book.ledger.ask("SELECT DISTINCT task FROM downloads WHERE removed IS NULL")
        for (name,) in rows:
            task = book.task(name)
            if task is not None and task.phase in ("ended", "left") and not book.has_letters(task.id):
                for path in downloads.remove(book, task):
                    self._say(f"removed {path}, which was fetched for task {task.id}")

    # ---------------------------------------------------------------------------------------- what we take

    def _take(self, book: Book) -> None:
        """Claim as many tasks as there are devices, and one more, so that no device ever waits for Alyx."""
        rows = taking.waiting(self.client)  # all of them: a list changes while one claims from it
        foreign = taking.strangers(book, taking.started(self.client))
        book.note("foreign", [str(row["id"]) for row in foreign])
        busy = {row["session"] for row in foreign}
        wanted = [row for row in rows if row["session"] not in busy and self._may_take(book, row)]
        self.left = len(wanted)
        self._first_look(book)
        if book.ledger.hold_now() is not None or out_of_hours(self.settings.hours, datetime.now().astimezone()):
            self.left = 0  # who claims a task has to begin it
        room = max(len(book.ledger.devices()), 1) + 1 - book.unfinished()
        for row in wanted if self.left else ():
            if room <= 0:
                return
            try:
                room -= self._took(book, row)
            except TroubleError as trouble:
                self._say_of(row["id"], trouble)
                if trouble.kind == "broken" and self._retries.again(row["id"]):
                    continue
            self.left -= 1

    def _took(self, book: Book, row: dict[str, Any]) -> bool:
        """Whether a task is ours now."""
        if self._since and session_rows.read(self.client, row["session"]).date < self._since:
            return False
        task = taking.claim(book, self.client, row)
        if task is not None:
            self._make_jobs(book, task)
        return task is not None

    def _may_take(self, book: Book, row: dict[str, Any]) -> bool:
        """Not what we still have to say something about: that comes first."""
        task = book.task(row["id"])
        return task is None or (task.phase in ("ended", "left") and not book.has_letters(task.id))

    def _first_look(self, book: Book) -> None:
        """A server that has never taken a task does not begin with months of them unless a person says so."""
        ledger = book.ledger
        if book.noted("looked") is not None:
            return
        if self._cautious and self.settings.start_held and self.left and ledger.hold_now() is None:
            seen = "see `iblvideo-admin process --source alyx --dry-run`, then `iblvideo-admin queue release`"
            ledger.hold(True, f"first start with {self.left} tasks in Alyx: {seen}")
        book.note("looked", True)
