"""``process --watch``: new sessions become jobs, jobs become tables, for weeks, until SIGTERM."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from iblvideo_admin import systemd
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands
from iblvideo_admin.queue import plan as planning
from iblvideo_admin.queue.devices import out_of_hours
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.observer import Observer
from iblvideo_admin.queue.prune import DAY_S, prune
from iblvideo_admin.queue.rest import Rest
from iblvideo_admin.queue.scanning import Scan
from iblvideo_admin.queue.states import ENDED
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.queue.telling import Telling
from iblvideo_admin.queue.worker import LOOK_S, Worker
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

_IDLE_S = 0.5
_AT_ONCE = 20  # videos entered between two looks at the running jobs
_HOUSEKEEPING_S = 1.0
_WATCHDOG_S = 5.0

Look = Callable[[Settings, Rest], planning.Plan]
Enter = Callable[[list[Video], Ledger], list[Job]]


class Service:
    """Scans, works and tells, until it is asked to stop.

    ``load`` reads the settings anew, ``look`` plans a scan, ``enter`` makes jobs of what it found.  ``beside`` is done
    between two looks at the jobs, must not wait for anything, and gives what people should know.
    """

    def __init__(
        self,
        ledger: Ledger,
        load: Callable[[], Settings],
        observer: Observer,
        look: Look,
        enter: Enter,
        stop: Stop,
        beside: Callable[[], str] = lambda: "",
    ) -> None:
        self._ledger, self._load, self._observer, self._stop = ledger, load, observer, stop
        self._look, self._enter, self._beside = look, enter, beside
        self._settings = load()
        self._telling = Telling(self._settings)
        self._told = _Told(observer, self._telling)
        self._worker = Worker(ledger, self._settings, self._told, stop, patient=True)
        self._rest = Rest(self._settings.rest_s)
        self._scan: Scan | None = None
        self._found: list[Video] = []
        self._first = not ledger.seen()
        self._scan_at = self._tidied_at = self._kept_at = self._heard_at = -float("inf")
        self._told_still = False
        self._trouble = self._status = self._aside = ""

    def run(self) -> dict[str, Any]:
        """Work until SIGTERM or SIGINT; gives how many jobs are in which status then."""
        systemd.notify("READY=1", "STATUS=looking for sessions")
        try:
            while not self._stop.asked:
                self._turn()
                self._stop.wait(LOOK_S if self._worker.running() else _IDLE_S)
            self._finish()
        finally:
            systemd.notify("STOPPING=1")
            self._worker.leave("the service was stopped")
            self._telling.turn()
            self._telling.close()
        return self._ledger.counts()

    def _turn(self) -> None:
        now = time.monotonic()
        if self._stop.reload:
            self._stop.reload = False
            self._reload()
        self._scan_turn(now)
        self._worker.turn(start=not self._first)
        if now - self._tidied_at > _HOUSEKEEPING_S:
            self._tidied_at = now
            self._patiently(self._tidy)
        self._telling.turn()
        self._aside = self._beside()
        self._say(now)

    def _finish(self) -> None:
        """Let the running jobs end, for a while; a second signal ends the waiting."""
        until = time.monotonic() + self._settings.stop_grace_s
        grace = f"{self._settings.stop_grace_s:.0f}"
        systemd.notify("STOPPING=1", f"STATUS=waiting up to {grace} s for {len(self._worker.running())} running jobs")
        while self._worker.running() and time.monotonic() < until and self._stop.asked < 2:
            self._worker.turn(start=False)
            systemd.notify("WATCHDOG=1")
            self._stop.wait(LOOK_S)

    # ---------------------------------------------------------------------------------------- sessions

    def _scan_turn(self, now: float) -> None:
        """Start a scan where it is time, and enter what one has found, some at a time."""
        try:
            if self._scan is not None and (found := self._scan.plan()) is not None:
                self._scan = None
                self._found = planning.unknown(found.wanted, self._ledger)
                self._first_look()
            if self._found:
                some, self._found = self._found[:_AT_ONCE], self._found[_AT_ONCE:]
                self._enter(some, self._ledger)
            self._trouble = ""
        except UserError as error:
            self._scan, self._trouble = None, error.message
        if self._scan is None and not self._found and now - self._scan_at >= self._settings.scan_every_s:
            self._scan_at = now
            settings = self._settings
            self._scan = Scan(lambda: self._look(settings, self._rest))

    def _first_look(self) -> None:
        """A server that has never worked does not begin with months of backlog unless a person says so."""
        if not self._first:
            return
        waiting = len(self._found) + self._ledger.counts()["Waiting"]
        if waiting and self._settings.start_held and self._ledger.hold_now() is None:
            seen = "see `iblvideo-admin process --dry-run`, then `iblvideo-admin queue release`"
            self._ledger.hold(True, f"first start with {waiting} videos to track: {seen}")
        elif not waiting or not self._settings.start_held:
            self._ledger.set_seen()
        self._first = False

    # ---------------------------------------------------------------------------------------- the rest

    def _reload(self) -> None:
        """Take other settings.  With wrong ones no job is started (it reads them, too) until they are mended."""
        try:
            self._settings = self._load()
            out_of_hours(self._settings.hours, datetime.now().astimezone())
        except UserError as error:
            self._worker.paused = error.message
            return
        self._worker.paused = ""
        self._telling.settings = self._settings
        self._rest = Rest(self._settings.rest_s)
        self._worker.reload(self._settings)
        self._scan_at = -float("inf")

    def _tidy(self) -> None:
        """Holds that are over, a queue that stands still, old folders."""
        hands.release_overdue(self._ledger)
        self._look_for_standstill()
        if self._settings.keep_days and time.monotonic() - self._kept_at > DAY_S:
            self._kept_at = time.monotonic()
            prune(self._ledger, self._settings.keep_days)

    def _look_for_standstill(self) -> None:
        """Jobs wait, nobody holds them, and none gets a new frame or an outcome."""
        waiting = self._ledger.counts()["Waiting"]
        held = self._ledger.hold_now() is not None or self._first
        if held or not waiting or out_of_hours(self._settings.hours, datetime.now().astimezone()):
            self._told.moved()
        still_s = time.monotonic() - self._told.moved_at
        if still_s < self._settings.standstill_s:
            self._told_still = False
        elif not self._told_still:
            self._told_still = True
            self._telling.standstill(self._worker.reason() or "jobs are started and come back", waiting)

    def _patiently(self, work: Callable[[], None]) -> None:
        try:
            work()
        except UserError as error:
            self._trouble = error.message

    def _say(self, now: float) -> None:
        """What the service manager shows, and that we live."""
        running = ", ".join(f"job {slot.job.id}" for slot in self._worker.running() if slot.job is not None)
        status = (
            "; ".join(filter(None, (running, self._worker.reason(), self._trouble, self._aside, self._telling.trouble)))
            or "idle"
        )
        if status != self._status:
            self._status = status
            systemd.notify(f"STATUS={status}")
            if self._trouble:
                self._observer.note(self._trouble)
        if now - self._heard_at > min(_WATCHDOG_S, (systemd.watchdog_s() or _WATCHDOG_S) / 2):
            self._heard_at = now
            systemd.notify("WATCHDOG=1")


class _Told:
    """An observer that also hears for those who are to be told, and when anything last moved."""

    def __init__(self, observer: Observer, telling: Telling) -> None:
        self._observer, self._telling = observer, telling
        self.started, self.idle, self.note = observer.started, observer.idle, observer.note
        self._done: dict[int, object] = {}
        self.moved_at = time.monotonic()

    def moved(self) -> None:
        """Nothing stands still."""
        self.moved_at = time.monotonic()

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """See :class:`Observer`."""
        if (done := (progress.get("stage"), progress["done"])) != self._done.get(job.id):
            self._done[job.id] = done
            self.moved()
        self._observer.progress(job, progress)

    def ended(self, job: Job) -> None:
        """See :class:`Observer`."""
        self._done.pop(job.id, None)
        if job.state.status in ENDED:
            self.moved()
        self._observer.ended(job)
        self._telling.job_ended(job)
