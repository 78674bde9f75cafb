"""Who lives in a lab just now: its workers, its jobs' processes and their engines, as /proc tells."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Living:
    """A process of the lab; ``kind`` is worker, child, engine or other."""

    pid: int
    kind: str
    command: str

    def send(self, number: int) -> None:
        """Send a signal, if it still lives."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def living(state_dir: Path) -> list[Living]:
    """All processes with this state folder in their environment, stopped ones among them, dead ones not."""
    wanted, found = os.fsencode(f"IBLVIDEO_ADMIN_STATE_DIR={state_dir}\0"), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted not in (folder / "environ").read_bytes():
                continue
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in ("Z", "X"):
            found.append(Living(int(folder.name), _kind(words), " ".join(map(os.fsdecode, words)).strip()))
    return found


def end_all(state_dir: Path) -> None:
    """``kill -9`` of everything at once; again for what was being started at that moment."""
    for _ in range(20):
        if not (here := living(state_dir)):
            return
        for process in here:
            process.send(signal.SIGKILL)


def _kind(words: list[bytes]) -> str:
    if any(word.endswith(b"tensorflow1_sidecar.py") for word in words):
        return "engine"
    if b"run-job" in words:
        return "child"
    return "worker" if b"process" in words else "other"
