"""The raw videos that tasks wait for: one download at a time, tried again later where it failed."""

from __future__ import annotations

import time

from iblvideo_admin.alyx.book import Task
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.downloads import Download
from iblvideo_admin.alyx.retries import Retries
from iblvideo_admin.alyx.session_rows import Remote
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings


class Fetcher:
    """``failing`` are the tasks whose videos do not come just now, each with the reason."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self.failing: dict[str, str] = {}
        self._settings, self._client = settings, client
        self._retries = Retries(settings.alyx_every_s)
        self._download: Download | None = None
        self._over: dict[str, TroubleError | UserError | None] = {}

    def look(self, task: Task, video: Video, remote: Remote) -> UserError | None:
        """Why a video cannot be had; None while it may still come: it is then in its place."""
        if self._download is not None and self._download.is_over():
            self._over[self._download.remote.dataset] = self._download.error
            self._download = None
        if remote.dataset in self._over:
            return self._ended(task, video, remote, self._over.pop(remote.dataset))
        if self._download is None and self._retries.is_due(remote.dataset):
            self._download = Download(self._settings, self._client, task, video, remote)
        return None

    def stop(self) -> None:
        """End what is under way; what came is kept for the next time."""
        if self._download is not None:
            self._download.stop()

    def _ended(
        self, task: Task, video: Video, remote: Remote, error: TroubleError | UserError | None
    ) -> UserError | None:
        self.failing.pop(task.id, None)
        if error is None:
            return None
        if isinstance(error, TroubleError) and error.kind == "refused":
            return UserError("video.missing", error.message)
        again = self._retries.again(remote.dataset)
        if isinstance(error, UserError) and error.code != "disk.full" and not again:
            return error
        self.failing[task.id] = f"{video.path} (tried at {time.strftime('%H:%M')}): {error.message}"
        return None
