"""Keeps one host running: starts it again when it wants to reboot, and ends with it otherwise.

    python keeper.py COUNTER CGROUP_FOLDER... -- COMMAND

A process of its own, so that a host may outlive the command that booted it.
COUNTER is a file with the number of boots.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_REBOOT = 133


def main(words: list[str]) -> int:
    split = words.index("--")
    counter, cgroups, command = Path(words[0]), words[1:split], words[split + 1 :]
    for folder in cgroups:
        Path(folder, "cgroup.procs").write_text(str(os.getpid()))
    status = _REBOOT
    while status == _REBOOT:
        draft = counter.with_suffix(".new")
        draft.write_text(str(boots(counter) + 1))
        draft.replace(counter)
        status = subprocess.run(command, check=False).returncode
    return status


def boots(counter: Path) -> int:
    """How often it was started."""
    return int(counter.read_text()) if counter.exists() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
