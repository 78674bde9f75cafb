"""progress.json: how far a job is, for whoever looks."""

from __future__ import annotations

import math
import time

from iblvideo_admin.files import write_hint
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.tracking.track import Progress

WRITE_EVERY_S = 0.5


class Reporter:
    """Writes progress.json at most twice a second."""

    def __init__(self, paths: JobPaths) -> None:
        self._path = paths.progress
        self._written = -math.inf
        self._stage, self._since = "", 0.0

    def __call__(self, progress: Progress) -> None:
        """Take note, and write where it is time."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._since = progress.stage, now
        if now - self._written < WRITE_EVERY_S:
            return
        self._written = now
        fps = progress.done / (now - self._since) if now > self._since else 0.0
        write_hint(
            self._path,
            {
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "fps": round(fps, 2),
                "eta_s": round((progress.total - progress.done) / fps, 1) if fps else None,
                "written": time.time(),
            },
        )
