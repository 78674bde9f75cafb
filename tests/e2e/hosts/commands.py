"""Commands of this machine, whose failure shows what they said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class Failed(subprocess.CalledProcessError):
    """A command that ended badly, with its last words."""

    def __str__(self) -> str:
        said = "\n".join(str(text).strip()[-2000:] for text in (self.stdout, self.stderr) if text)
        return f"{super().__str__()}\n{said}".strip()


def environment() -> dict[str, str]:
    """The process's own, with the folders of administration in its path."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SBIN}", "LC_ALL": "C.UTF-8"}


def run(*words: str | Path, given: str | None = None, timeout: float = 60) -> str:
    """Its standard output; :class:`Failed` unless it succeeds."""
    done = attempt(*words, given=given, timeout=timeout)
    if done.returncode:
        raise Failed(done.returncode, done.args, done.stdout, done.stderr)
    return done.stdout


def attempt(*words: str | Path, given: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """The same, where failure is an answer, too."""
    return subprocess.run(
        ["/usr/bin/env", *map(str, words)],
        env=environment(),
        input="" if given is None else given,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
