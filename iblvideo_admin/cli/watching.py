"""Progress for people, on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

from iblvideo_admin.queue.ledger import Job
from iblvideo_admin.queue.states import Errored, Waiting
from iblvideo_admin.render import plain

_STAGES = {"starting": "starting the networks", "regions": "looking for the mouse", "tracking": "tracking"}
_LINE_EVERY_S = 10.0


class Watcher:
    """An observer of the worker that tells a person."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._stage, self._said = "", 0.0
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            name = TextColumn("{task.description}", markup=False)  # a mouse may be called [red]
            columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[fps]}"), console=Console(stderr=True))

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:  # it has hidden the cursor
            self._bar.stop()

    def started(self, job: Job) -> None:
        """See :class:`iblvideo_admin.queue.worker.Observer`."""
        self._stage, self._said = "", 0.0
        if self._bar is None:
            _say(f"{_name(job)}: started (job {job.id})")
            return
        self._bar.start()
        self._task = self._bar.add_task(f"{_name(job)}: {_STAGES['starting']}", total=None, fps="")

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """See :class:`iblvideo_admin.queue.worker.Observer`."""
        stage, done, total, fps = (progress.get(key) for key in ("stage", "done", "total", "fps"))
        said = _STAGES.get(str(stage), str(stage))
        rate = f"{fps:.1f} frames/s" if stage == "tracking" and fps else ""
        left = f", {_about(progress['eta_s'])} left" if rate and progress.get("eta_s") else ""
        if self._bar is not None:
            counted = {"completed": done, "total": total} if stage != "starting" else {"total": None}
            self._bar.update(self._task, description=f"{_name(job)}: {said}", fps=rate, **counted)
            return
        now = time.monotonic()
        if stage == self._stage and now - self._said < _LINE_EVERY_S:
            return
        self._stage, self._said = str(stage), now
        _say(f"{_name(job)}: {said}" + (f", frame {done} of {total}, {rate}{left}" if rate else ""))

    def ended(self, job: Job) -> None:
        """See :class:`iblvideo_admin.queue.worker.Observer`."""
        if self._bar is not None:
            self._bar.remove_task(self._task)
            self._bar.stop()
        state = job.state
        if isinstance(state, Errored):
            _say(f"{_name(job)}: Errored {state.code}")
        elif isinstance(state, Waiting):
            _say(f"{_name(job)}: back in the queue ({plain(state.because)})")
        else:
            _say(f"{_name(job)}: {state.status}")


def _about(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _name(job: Job) -> str:
    return plain(f"{job.session} {job.camera}")


def _say(line: str) -> None:
    with suppress(OSError):  # nobody looks any more: no reason to end the work
        print(line, file=sys.stderr, flush=True)
