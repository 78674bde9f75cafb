"""What happens to the lab: kills, stops, a clock that jumps, a ledger that is locked, disks full or read-only."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from e2e.chaos.crew import Crew
from e2e.chaos.place import Place
from e2e.chaos.processes import end_all

_HOURS = 3600.0
_WORK_S = 1.0
_PATIENCE_S = 4.0
LIMIT_S = 600.0


class Chaos:
    """Events from a seed; every one is undone after a while, and :meth:`calm` undoes the rest."""

    def __init__(self, place: Place, crew: Crew, dice: random.Random, *, disks: bool = True) -> None:
        self._place, self._crew, self._dice = place, crew, dice
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._asked: list[subprocess.Popen[bytes]] = []
        self._locker: sqlite3.Connection | None = None
        self._ill: set[str] = set()  # disks that are full or read-only now
        self._worked_at = time.monotonic()
        self.happened: Counter[str] = Counter()
        kill, term, stop = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP
        self._shares: dict[Callable[[], str], int] = {
            partial(self._signal, kill, "worker"): 8, partial(self._signal, kill, "child"): 12,
            partial(self._signal, kill, "engine"): 12, partial(self._signal, term, "worker"): 6,
            partial(self._signal, term, "child"): 8, partial(self._signal, stop, "worker"): 5,
            partial(self._signal, stop, "child"): 8, partial(self._signal, stop, "engine"): 8,
            self._everything: 2, self._clock: 10, self._lock: 7, self._hold: 4,
            self._mend: 12,
        }  # fmt: skip
        if disks and place.disks:
            self._shares |= {self._full: 7, self._frozen_subjects: 3, self._frozen_state: 2}

    def run(self, count: int, pause_s: tuple[float, float]) -> None:
        """So many events, each kind in its share, and the workers started again meanwhile.

        What cannot happen just now (nobody of that kind lives) happens later; a person sees that work goes on.
        """
        coming = self._deck(count)
        until = time.monotonic() + LIMIT_S
        while coming:
            if time.monotonic() > until:
                raise AssertionError(self._standstill(len(coming)))
            self._crew.keep()
            self._look_after()
            for event in coming:
                if name := event():
                    self.happened[name] += 1
                    coming.remove(event)
                    break
            now = time.monotonic()
            pause = self._dice.uniform(*pause_s)
            while time.monotonic() < now + pause or (time.monotonic() < now + _WORK_S and not self._at_work()):
                time.sleep(0.05)
                self._crew.keep()
                self._undo(time.monotonic())

    def _look_after(self) -> None:
        """A person finds that nothing has been at work for a while.

        The queue is still held (its release was killed, or found no ledger), jobs were brought down, or all is done.
        """
        now = time.monotonic()
        if self._at_work() or any(process.poll() is None for process in self._asked):
            self._worked_at = now
        if now - self._worked_at < _PATIENCE_S:
            return
        self._worked_at = now
        self.happened["nothing was at work"] += 1
        self._ask("queue", "release")
        self._mend()
        if "subjects" not in self._ill and self._all_done():
            self._place.another_session(self._dice)
            self.happened["another session came"] += 1

    def _all_done(self) -> bool:
        try:
            open_ = self._place.rows("SELECT id FROM jobs WHERE status IN ('Waiting', 'Started', 'Held')", 0.1)
        except sqlite3.Error:
            return False
        return not open_

    def _standstill(self, coming: int) -> str:
        """What there is to be known where the events do not come about."""
        self._undo(float("inf"))
        jobs = self._place.rows("SELECT status, code, count(*) FROM jobs GROUP BY status, code")
        held = self._place.rows("SELECT held, who, why FROM queue")
        lives = Counter(process.kind for process in self._place.living())
        said = {path.name: text[-300:] for path, text in list(self._crew.logs().items())[-3:]}
        return f"{coming} events have not happened; jobs: {jobs}; held: {held}; alive: {dict(lives)}; said: {said}"

    def _at_work(self) -> bool:
        """Whether there is more to be hit than workers that have just begun."""
        return any(process.kind == "engine" for process in self._place.living())

    def _deck(self, count: int) -> list[Callable[[], str]]:
        """Every kind at least once, and the rest by their shares, in a random order."""
        kinds = list(self._shares)
        deck = kinds[:count] + self._dice.choices(kinds, list(self._shares.values()), k=max(count - len(kinds), 0))
        self._dice.shuffle(deck)
        return deck

    def calm(self) -> None:
        """Nothing is stopped, locked, full, read-only, held or at the wrong hour any more."""
        self._undo(float("inf"))
        self._place.set_clock(0.0)
        for process in self._asked:
            process.wait(60)
        assert self._place.lab.json("queue", "release")["exit_code"] == 0

    # ---------------------------------------------------------------------------------------- processes

    def _signal(self, number: signal.Signals, kind: str) -> str:
        """A signal to any process of this kind.

        A stopped job must be ended by its worker; a stopped worker is ended by whoever started it.
        """
        victims = sorted((p for p in self._place.living() if p.kind == kind), key=lambda process: process.pid)
        if not victims:
            return ""
        victim = self._dice.choice(victims)
        victim.send(number)
        if number != signal.SIGSTOP:
            return f"{number.name} to a {kind}"
        if self._dice.random() < 0.5:
            self._in(self._dice.uniform(0.2, 4), lambda: victim.send(signal.SIGCONT))
            return f"SIGSTOP to a {kind} for a while"
        if kind == "worker":
            self._in(self._dice.uniform(1, 3), lambda: self._crew.watchdog(victim.pid))
        return f"SIGSTOP to a {kind} for good"

    def _everything(self) -> str:
        end_all(self._place.state_dir)
        return "everything killed"

    # ---------------------------------------------------------------------------------------- the rest

    def _clock(self) -> str:
        self._place.set_clock(self._dice.choice((0.0, self._dice.uniform(-9, 9) * _HOURS)))
        return "the clock moved"

    def _lock(self) -> str:
        if self._locker is not None or "state" in self._ill:
            return ""
        self._locker = sqlite3.connect(self._place.state_dir / "ledger.sqlite", timeout=1, isolation_level=None)
        try:
            self._locker.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error:
            self._unlock()
            return ""
        self._in(self._dice.uniform(0.5, 2), self._unlock)
        return "the ledger locked"

    def _unlock(self) -> None:
        if self._locker is not None:
            with suppress(sqlite3.Error):
                self._locker.execute("ROLLBACK")
            self._locker.close()
            self._locker = None

    def _full(self) -> str:
        name = self._dice.choice(sorted(self._place.disks))
        if name in self._ill:
            return ""
        disk = self._place.disks[name]
        disk.fill()
        self._ill.add(name)
        self._in(self._dice.uniform(0.5, 3), lambda: (disk.free(), self._ill.discard(name)))
        return f"the disk of {name} full"

    def _frozen_subjects(self) -> str:
        return self._freeze("subjects")

    def _frozen_state(self) -> str:
        """The kernel refuses it while the ledger is open: so nobody lives at that moment."""
        if self._locker is not None or "state" in self._ill:
            return ""
        end_all(self._place.state_dir)
        return self._freeze("state")

    def _freeze(self, name: str) -> str:
        disk = self._place.disks[name]
        if name in self._ill or not disk.freeze():
            return ""
        self._ill.add(name)
        self._in(self._dice.uniform(0.5, 3), lambda: (disk.thaw(), self._ill.discard(name)))
        return f"the disk of {name} read-only"

    def _hold(self) -> str:
        self._ask("queue", "hold", "--why", "chaos")
        self._in(self._dice.uniform(0.5, 2), lambda: self._ask("queue", "release"))
        return "the queue held"

    def _mend(self) -> str:
        """A person looks after what the chaos has brought down."""
        try:
            rows = self._place.rows(
                "SELECT id, status FROM jobs WHERE code != '' AND status IN ('Held', 'Errored')", 0.1
            )
        except sqlite3.Error:
            return ""
        ids: dict[str, list[str]] = {"Held": [], "Errored": []}
        for number, status in rows:
            ids[status].append(str(number))
        if ids["Errored"]:
            self._ask("queue", "retry", *ids["Errored"])
        for number in ids["Held"][:2]:
            self._ask("queue", "release", number)
        return "released and tried again" if rows else ""

    def _ask(self, *arguments: str) -> None:
        """What a person types meanwhile; whether it succeeds is for :meth:`calm` to see."""
        command = [sys.executable, "-m", "iblvideo_admin", *arguments]
        environment = self._place.lab.environment
        nowhere = subprocess.DEVNULL
        self._asked.append(subprocess.Popen(command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere))

    def _in(self, seconds: float, what: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, what))

    def _undo(self, now: float) -> None:
        due = [what for at, what in self._later if at <= now]
        self._later = [(at, what) for at, what in self._later if at > now]
        for what in due:
            what()
