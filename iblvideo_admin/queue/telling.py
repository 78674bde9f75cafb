"""The lab is told: a command of its own is run when a job failed for good, or when the queue stands still.

It gets one JSON document on its standard input, is run at most every so often (what happens meanwhile is told the
next time), and is ended when it takes too long.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import Any

from iblvideo_admin.queue.ledger import Job
from iblvideo_admin.queue.states import Errored, Held
from iblvideo_admin.settings import Settings

LIMIT_S = 30.0
_MOST_EVENTS = 100


class Telling:
    """Collects what is to be told, and runs the command without waiting for it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._events: list[dict[str, Any]] = []
        self._more = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._started = -float("inf")
        self.trouble = ""

    def job_ended(self, job: Job) -> None:
        """A job has an outcome; what needs a person is told."""
        state = job.state
        if isinstance(state, Errored):
            self._add("job_failed", job, code=state.code, message=state.message, remedy=state.remedy)
        elif isinstance(state, Held) and state.code:
            remedy = f"iblvideo-admin queue log {job.id}, then iblvideo-admin queue release {job.id}"
            self._add("job_held", job, code=state.code, message=state.because, remedy=remedy)

    def standstill(self, reason: str, waiting: int) -> None:
        """Jobs wait, and nothing happens."""
        self._append({"event": "standstill", "time": time.time(), "message": reason, "waiting": waiting})

    def turn(self) -> None:
        """Start the command where it is time, look after one that runs."""
        if self._process is not None:
            self._look_after(self._process)
        every_s = self.settings.on_attention_every_s
        if self._events and self._process is None and time.monotonic() - self._started >= every_s:
            self._run()

    def close(self) -> None:
        """Tell what is left, once; the command then runs on by itself."""
        if self._process is None and self._events:
            self._run()

    def _add(self, event: str, job: Job, **more: str) -> None:
        where = {"job": job.id, "session": job.session, "camera": job.camera, "video": job.video}
        self._append({"event": event, "time": time.time(), **where, **more})

    def _append(self, event: dict[str, Any]) -> None:
        if self.settings.on_attention and len(self._events) < _MOST_EVENTS:
            self._events.append(event)
        else:
            self._more += bool(self.settings.on_attention)

    def _run(self) -> None:
        told = {"schema": 1, "host": socket.gethostname(), "events": self._events, "more": self._more}
        self._started = time.monotonic()
        try:
            with tempfile.TemporaryFile() as document:
                document.write(json.dumps(told).encode() + b"\n")
                document.seek(0)
                self._process = subprocess.Popen(
                    list(self.settings.on_attention),
                    stdin=document,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:  # told again the next time
            self.trouble = f"on_attention: {self.settings.on_attention[0]} cannot be run: {error.strerror}"
            return
        self._events, self._more, self.trouble = [], 0, ""

    def _look_after(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None and time.monotonic() - self._started > LIMIT_S:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self.trouble = (
                f"on_attention: {self.settings.on_attention[:1]} took longer than {LIMIT_S:g} s and was ended"
            )
        elif process.returncode is not None:
            if process.returncode:
                self.trouble = f"on_attention ended with status {process.returncode}"
            self._process = None
