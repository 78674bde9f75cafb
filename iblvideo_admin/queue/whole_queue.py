"""What the ledger says of the queue as a whole: whether it is held, who works where, and what happened when."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from iblvideo_admin.files import exists
from iblvideo_admin.queue.database import Database
from iblvideo_admin.queue.job import job_folders

EVENTS_KEPT = 200  # of one job, and of the queue: a card that others use for months must not fill the disk
_TRIM_EVERY = 50


@dataclass(frozen=True)
class Event:
    """A change of a job."""

    time: float
    status: str
    who: str
    why: str


@dataclass(frozen=True)
class Hold:
    """The whole queue is held: by whom, since when, why, and until when (0: until it is released)."""

    who: str
    since: float
    why: str
    until: float = 0.0

    def __str__(self) -> str:
        until = f" until {_moment(self.until)}" if self.until else ""
        return f"by {self.who} since {_moment(self.since)}{until}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class At:
    """A device that a worker has taken, and why nothing runs there (empty: something does, or may)."""

    device: str
    pid: int
    since: float
    reason: str


class WholeQueue(Database):
    """The part of the ledger that is about no single job."""

    def held(self) -> str | None:
        """Why no job may be started, by whom and since when; None where the queue runs."""
        hold = self.hold_now()
        return None if hold is None else str(hold)

    def hold_now(self) -> Hold | None:
        """The hold that is in force."""
        held, since, who, why, until = next(self._rows("SELECT held, since, who, why, until FROM queue"))
        return Hold(who, since, why, until) if held and not 0 < until <= time.time() else None

    def hold(self, held: bool, why: str = "", until: float = 0.0) -> None:
        """Hold or release the whole queue; running jobs go on."""
        with self.transaction():
            self._db.execute(
                "UPDATE queue SET held = ?, since = ?, who = ?, why = ?, until = ?, seen = max(seen, ?)",
                (held, time.time(), who(), why, until, not held),
            )
            self._note(None, "held" if held else "released", why)

    def seen(self) -> bool:
        """Whether somebody has ever looked at this server's backlog, or there was none."""
        return bool(next(self._rows("SELECT seen FROM queue"))[0])

    def set_seen(self) -> None:
        """Nobody needs to look any more."""
        with self.transaction():
            self._db.execute("UPDATE queue SET seen = 1")

    def events(self, number: int | None) -> list[Event]:
        """What happened to a job (None: to the queue), oldest first."""
        rows = self._rows("SELECT time, status, who, why FROM events WHERE job IS ? ORDER BY rowid", (number,))
        return [Event(*row) for row in rows]

    def devices(self) -> list[At]:
        """Where workers said that they are; whether they live, their locks say."""
        return [At(*row) for row in self._rows("SELECT device, pid, since, reason FROM devices ORDER BY device")]

    def tell_device(self, device: str, reason: str) -> None:
        """Say that this process has a device, and why it does nothing there."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO devices (device, pid, since, reason) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (device) DO UPDATE SET"
                " pid = excluded.pid, since = excluded.since, reason = excluded.reason",
                (device, os.getpid(), time.time(), reason),
            )

    def forget_devices(self, devices: Iterable[str]) -> None:
        """Say that this process has left them."""
        with self.transaction():
            self._db.executemany("DELETE FROM devices WHERE device = ?", ((device,) for device in devices))

    def _made(self) -> None:
        """A ledger that is made where jobs are was lost: a person looks before anything is started."""
        jobs = [paths for paths in job_folders(self.state_dir).values() if exists(paths.request)]
        if jobs:
            self.hold(True, f"the ledger was made anew from {len(jobs)} folders; look at `iblvideo-admin queue list`")

    def _note(self, number: int | None, status: str, why: str) -> None:
        self._db.execute(
            "INSERT INTO events (time, job, status, who, why) VALUES (?, ?, ?, ?, ?)",
            (time.time(), number, status, who(), why),
        )
        if next(self._rows("SELECT count(*) FROM events WHERE job IS ?", (number,)))[0] >= EVENTS_KEPT + _TRIM_EVERY:
            self._db.execute(
                "DELETE FROM events WHERE job IS ? AND rowid NOT IN"
                " (SELECT rowid FROM events WHERE job IS ? ORDER BY rowid DESC LIMIT ?)",
                (number, number, EVENTS_KEPT),
            )


def who() -> str:
    """The person behind this process, as far as it can be told."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
