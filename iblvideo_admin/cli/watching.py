"""Progress for people, on standard error: bars on a terminal, plain lines elsewhere, the journal under systemd."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from iblvideo_admin import systemd
from iblvideo_admin.queue.ledger import Job
from iblvideo_admin.queue.states import Errored, Held, Started, Waiting
from iblvideo_admin.render import plain

_STAGES = {"starting": "starting the networks", "regions": "looking for the mouse", "tracking": "tracking"}
_LINE_EVERY_S = 10.0
_ERROR, _WARNING, _INFO = 3, 4, 6  # priorities of syslog(3)


def watcher() -> Bars | Lines | Journal:
    """Whoever fits what standard error is."""
    if systemd.is_journal():
        return Journal()
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """An observer of the worker that says each job's stages, and how far it is every ten seconds."""

    def __init__(self) -> None:
        self._stages: dict[int, tuple[str, float]] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is left open."""

    def started(self, job: Job) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        self._stages[job.id] = ("", 0.0)
        self.say(job, f"started (job {job.id})", _INFO)

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        now = time.monotonic()
        stage, said = self._stages.get(job.id, ("", 0.0))
        if progress.get("stage") != stage or now - said >= _LINE_EVERY_S:
            self._stages[job.id] = (str(progress.get("stage")), now)
            self.say(job, _far(progress), _INFO)

    def ended(self, job: Job) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        self._stages.pop(job.id, None)
        self.say(job, _outcome(job), _ERROR if isinstance(job.state, (Errored, Held)) else _INFO)

    def note(self, text: str) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        self.say(None, plain(text), _WARNING)

    def idle(self, reason: str) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        self.say(None, f"waiting: {plain(reason)}" if reason else "going on", _WARNING)

    def say(self, job: Job | None, text: str, priority: int) -> None:
        """One line."""
        del priority
        with suppress(OSError):  # nobody looks any more: no reason to end the work
            print(text if job is None else f"{_name(job)}: {text}", file=sys.stderr, flush=True)


class Journal(Lines):
    """The same for the journal, with fields to search by."""

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """Stages only: weeks of frames/s are for `status`."""
        if progress.get("stage") != self._stages.get(job.id, ("", 0.0))[0]:
            super().progress(job, progress)

    def say(self, job: Job | None, text: str, priority: int) -> None:
        """One entry; a line on standard error where the journal takes none."""
        fields: dict[str, str] = {}
        if job is not None:
            fields = {"IBLVIDEO_JOB": str(job.id), "IBLVIDEO_SESSION": job.session, "IBLVIDEO_CAMERA": job.camera}
            if isinstance(job.state, Started):
                fields["IBLVIDEO_GPU"] = job.state.device
            if isinstance(job.state, Errored):
                fields["IBLVIDEO_CODE"] = job.state.code
        if not systemd.journal(text if job is None else f"{_name(job)}: {text}", priority, **fields):
            super().say(job, text, priority)


class Bars(Lines):
    """A bar for each running job."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        name = TextColumn("{task.description}", markup=False)  # a mouse may be called [red]
        columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[fps]}"), console=Console(stderr=True))
        self._tasks: dict[int, Any] = {}

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()  # it has hidden the cursor

    def started(self, job: Job) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        self._bars.start()
        self._tasks[job.id] = self._bars.add_task(f"{_name(job)}: {_STAGES['starting']}", total=None, fps="")

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        if job.id not in self._tasks:
            self.started(job)
        stage = str(progress.get("stage"))
        counted = (
            {"total": None} if stage == "starting" else {"completed": progress["done"], "total": progress["total"]}
        )
        said = f"{_name(job)}: {_STAGES.get(stage, stage)}"
        self._bars.update(self._tasks[job.id], description=said, fps=_rate(progress), **counted)

    def ended(self, job: Job) -> None:
        """See :class:`iblvideo_admin.queue.observer.Observer`."""
        if (task := self._tasks.pop(job.id, None)) is not None:
            self._bars.remove_task(task)
        if not self._tasks:
            self._bars.stop()
        super().ended(job)


def _outcome(job: Job) -> str:
    state = job.state
    if isinstance(state, Errored):
        return f"Errored {state.code}"
    if isinstance(state, Waiting):
        return f"back in the queue ({plain(state.because)})"
    return f"Held ({plain(state.because)})" if isinstance(state, Held) else state.status


def _far(progress: dict[str, Any]) -> str:
    """How far a job is, in words."""
    stage, rate = str(progress.get("stage")), _rate(progress)
    said = _STAGES.get(stage, stage)
    left = f", {_about(progress['eta_s'])} left" if rate and progress.get("eta_s") else ""
    return said + (f", frame {progress['done']} of {progress['total']}, {rate}{left}" if rate else "")


def _rate(progress: dict[str, Any]) -> str:
    fps = progress.get("fps")
    return f"{fps:.1f} frames/s" if progress.get("stage") == "tracking" and fps else ""


def _about(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _name(job: Job) -> str:
    return plain(f"{job.session} {job.camera}")
