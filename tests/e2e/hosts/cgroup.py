"""A host's cgroup: everything that runs in the host is in it, so it ends at one stroke."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from e2e.hosts.machine import cgroup_roots

_LIMIT_S = 10.0


class Cgroup:
    """Without one of its own, two hosts' systemds would share what nspawn makes beside them."""

    def __init__(self, name: str) -> None:
        self.folders = [root / f"iblvideo-{name}" for root in cgroup_roots()]

    def make(self) -> None:
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def pids(self) -> set[int]:
        """Of all processes in it and below."""
        found: set[int] = set()
        for folder in self.folders:
            for path in folder.rglob("cgroup.procs"):
                with suppress(OSError):  # it is going away
                    found |= set(map(int, path.read_text().split()))
        return found

    def kill(self) -> None:
        """``kill -9`` of everything at once, where the kernel can; what is left, one by one."""
        for folder in self.folders:
            if (switch := folder / "cgroup.kill").exists():
                switch.write_text("1")
        until = time.monotonic() + _LIMIT_S
        while pids := self.pids():
            if time.monotonic() > until:
                raise RuntimeError(f"these processes cannot be killed: {pids}")
            time.sleep(0.02)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """With all below it; the kernel may take a moment to give one back."""
        until = time.monotonic() + _LIMIT_S
        for folder in self.folders:
            while folder.exists():
                try:
                    for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                        below.rmdir()
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.02)
