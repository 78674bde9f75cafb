"""``status``: this server now."""

from __future__ import annotations

from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result


def status(json: Json = False) -> Result:
    """GPUs, queue, running jobs, failures, disks, and what needs a person."""
    from iblvideo_admin import settings
    from iblvideo_admin.reporting import snapshot

    return Result("status", snapshot.take(settings.load()))
