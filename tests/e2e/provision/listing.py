"""What a tree looks like, to be compared with what it looked like before."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

Look = dict[str, tuple[object, ...]]


def listing(root: Path, names: Iterable[str]) -> Look:
    """Of each file, link and folder below ``names`` of a root: owner, mode, time, and content."""
    found: Look = {}
    for name in names:
        top = root / name
        for path in [top, *sorted(top.rglob("*"))] if top.is_dir() and not top.is_symlink() else [top]:
            if os.path.lexists(path):
                found[str(path.relative_to(root))] = _look(path)
    return found


def _look(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    about = (status.st_uid, status.st_gid, oct(status.st_mode))
    if stat.S_ISLNK(status.st_mode):
        return (*about, str(path.readlink()))
    if stat.S_ISREG(status.st_mode):
        return (*about, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    return about
