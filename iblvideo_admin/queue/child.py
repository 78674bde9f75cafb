"""A job's process: started with the job's lock, watched for new frames and for its time, ended in the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import no_link
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import LOCK_VARIABLE, Lease, end_holders, is_taken
from iblvideo_admin.settings import Settings

GRACE_S = 2.0  # who presses Ctrl-C waits three seconds at most
LEAST_LIMIT_S = 1800.0  # a server that is busy with other things needs time even for a short video


class Advance:
    """Whether a job gets on, by its progress.json; counts by a clock that nobody sets."""

    def __init__(self, paths: JobPaths) -> None:
        self._paths = paths
        self._at: tuple[object, object] = ("", -1)
        self._since = time.monotonic()
        self.progress: dict[str, Any] | None = None

    def look(self) -> float:
        """Seconds without a new frame or a new stage."""
        if (progress := self._paths.read_progress()) is not None:
            self.progress = progress
            if (at := (progress.get("stage"), progress["done"])) != self._at:
                self._at, self._since = at, time.monotonic()
        return time.monotonic() - self._since


class Child:
    """``iblvideo-admin run-job DIR`` in a session of its own.  Raises ``state.not_usable`` where none can be had."""

    def __init__(self, paths: JobPaths, lock: Lease, settings: Settings, gpus: str, speed: float | None) -> None:
        self.paths = paths
        self._settings, self._speed = settings, speed
        self._begun = time.monotonic()
        self._asked_at: float | None = None
        self._gone_at: float | None = None
        self.why: UserError | None = None  # why we end it, where we do
        environment = {**os.environ, LOCK_VARIABLE: str(lock.descriptor)}
        if gpus:
            environment["IBLVIDEO_ADMIN_GPUS"] = gpus
        try:
            with open(paths.log, "ab", opener=no_link) as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "iblvideo_admin", "run-job", str(paths.folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(lock.descriptor,),
                    env=environment,
                    cwd="/",  # `-m` looks for the package there first: never in the folder that one stands in
                )
        except OSError as error:
            raise UserError("state.not_usable", f"{paths.folder}: {error.strerror}") from error
        self.pid = self._process.pid
        self._advance = Advance(paths)

    def status(self) -> int | None:
        """How it ended; None while it, or what it started, runs."""
        status = self._process.poll()
        if status is None or not is_taken(self.paths.lock):
            return status
        # its engine ends by itself when it is gone, unless somebody has stopped it
        self._gone_at = self._gone_at or time.monotonic()
        if time.monotonic() - self._gone_at > GRACE_S:
            end_holders(self.paths.lock)
        return status if time.monotonic() - self._gone_at > 2 * GRACE_S else None

    def look(self) -> dict[str, Any] | None:
        """Its progress; a job that stands still or takes far too long is told to end."""
        still_s = self._advance.look()
        self.paths.cut_log(int(self._settings.log_limit_mb * 1e6))
        progress = self._advance.progress
        if self._asked_at is not None:
            if time.monotonic() - self._asked_at > GRACE_S:
                self._process.kill()
        elif still_s > self._settings.stuck_s:
            self.end(UserError("job.stuck", f"no new frame for {still_s:.0f} s"))
        elif (limit_s := self._limit_s(progress)) and (took_s := time.monotonic() - self._begun) > limit_s:
            seen = f"{progress['total']:g} frames" if progress else "the video"
            self.end(UserError("job.too_slow", f"{took_s:.0f} s for {seen}, where {limit_s:.0f} s are the limit"))
        return progress

    def end(self, why: UserError | None = None) -> None:
        """Tell it to end; after a while :meth:`look` does so by force."""
        if self._asked_at is None:
            self._asked_at, self.why = time.monotonic(), why
            self._process.terminate()

    def wait(self, limit_s: float) -> bool:
        """Whether it ended within this time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(limit_s)
        return self._process.returncode is not None

    def kill(self) -> None:
        """End it by force.  A lost GPU can hold it for ever: its locks stay with it, we go on."""
        self._process.kill()
        self.wait(GRACE_S)
        end_holders(self.paths.lock)

    def _limit_s(self, progress: dict[str, Any] | None) -> float | None:
        """How long it may take, by its frames and this server's own speed; None where either is not known."""
        factor = self._settings.time_limit_factor
        if not (factor and self._speed and progress and progress["total"] and progress.get("stage") != "regions"):
            return None
        return max(factor * float(progress["total"]) / self._speed, LEAST_LIMIT_S)
