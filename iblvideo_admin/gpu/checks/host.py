"""Layer 15: folders that a job needs, and room in them."""

from __future__ import annotations

import os
import shutil

from iblvideo_admin.files import exists
from iblvideo_admin.gpu.checks.base import Context, Finding

ID, LAYER, NEEDS, NEEDS_GPU = "host", 15, (), False
_LOW = 1 << 30


def check(context: Context) -> Finding:
    """The subjects folder exists; there is a gigabyte for state and output."""
    settings = context.settings
    if not settings.subjects_dir.is_dir():
        return Finding(
            "fail", f"there is no subjects folder {settings.subjects_dir}", "", "Mount it, or set subjects_dir."
        )
    free = []
    for folder in (settings.subjects_dir, settings.state_dir):
        existing = next(path for path in (folder, *folder.parents) if exists(path))
        room = shutil.disk_usage(existing).free
        free.append(f"{folder}: {room / 1e9:.1f} GB free")
        if room < _LOW:
            return Finding("fail", f"{folder} has {room / 1e6:.0f} MB left", "", "Free space there.")
        if not os.access(existing, os.W_OK):
            return Finding("warn", f"{existing} cannot be written by this user", "", "Run as the service's user.")
    return Finding("pass", "folders exist and have room", "; ".join(free))
