"""A journal of engine processes: who started when on which card for which job, and who met a live other one there.

``STAND_IN_JOURNAL`` names a folder.  A mark per card and one per job lies in it, locked until the process has ended,
however it ends: a lock of its own, beside those that the project itself takes.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_marks: list[int] = []  # open until the process ends


def begin(folder: Path) -> None:
    """Note this engine's start, and every clash."""
    card = os.environ.get("CUDA_VISIBLE_DEVICES") or "cpu"
    job = _job_of_the_lease() or "unknown"
    for name in (f"card-{card}", f"job-{job}"):
        mark = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        _marks.append(mark)
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _write(folder, f"CLASH {os.getpid()} on {name}: {os.pread(mark, 200, 0).decode()} lives")
            continue
        os.ftruncate(mark, 0)
        os.pwrite(mark, str(os.getpid()).encode(), 0)
    _write(folder, f"start {os.getpid()} {card} {job} {time.monotonic():.3f}")


def _job_of_the_lease() -> str:
    """The job whose lock this process has inherited: its number, as the folder is called."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            path = link.readlink()
        except OSError:
            continue
        if path.name == "lock" and path.parent.parent.name == "jobs":
            return path.parent.name
    return ""


def _write(folder: Path, line: str) -> None:
    descriptor = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
