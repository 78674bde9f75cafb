"""What still has to be told to Alyx."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.settings import Settings


def outbox(settings: Settings) -> dict[str, Any]:
    """How many messages wait, since when the oldest does (seconds since the epoch, or None), and what is wrong."""
    del settings  # nothing is told to Alyx yet, so nothing waits
    return {"waiting": 0, "oldest": None, "problem": None}
