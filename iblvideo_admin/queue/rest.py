"""Whether a video is whole: a transfer that still runs must not be picked up by a scan.

The rig's transfer leaves a ``raw_session.flag`` in the session's folder when it has ended; ibllib removes it when it
has registered the session.  Without one, a file is taken for whole when nothing about it has changed for a while.
"""

from __future__ import annotations

import time

from iblvideo_admin.sessions import Video

FLAG = "raw_session.flag"
_State = tuple[int, int, int]


class Rest:
    """Remembers what it has seen, so that a clock that is set does not matter."""

    def __init__(self, rest_s: float) -> None:
        self._rest_s = rest_s
        self._seen: dict[str, tuple[_State, float]] = {}

    def unrest(self, video: Video) -> str:
        """Why a video is not taken yet; empty where it is."""
        try:
            status = video.path.stat()
            flagged = (video.session / FLAG).exists()
        except OSError:  # the job will say what is wrong with it
            return ""
        key, state = str(video.path), (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        now = time.monotonic()
        if flagged:
            self._seen.pop(key, None)
            return ""
        before, since = self._seen.setdefault(key, (state, now))
        if before != state:
            self._seen[key], since = (state, now), now
        # the kernel's own note of the last change, which no transfer sets back; a future one says nothing
        quiet_s = max(now - since, time.time() - status.st_ctime)
        if quiet_s >= self._rest_s:
            self._seen.pop(key, None)
            return ""
        return f"changed {max(quiet_s, 0):.0f} s ago; without a {FLAG} it is taken after {self._rest_s:.0f} s of rest"
