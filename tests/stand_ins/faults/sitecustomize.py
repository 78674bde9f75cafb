"""Counts the moments at which a process of ours changes the disk, and lets one of them go wrong.

First on PYTHONPATH it is loaded before anything else, in the commands that a test runs and in the jobs' processes that
they start.  ``FAULTS`` names a JSON file: ``folder`` (only what lies below it counts), ``points`` (the file where each
moment is noted), ``marks`` (a folder: a fault happens once, whoever comes there first), and ``faults``, each with
``kind`` and ``job`` of the process, ``at`` and ``how``: ``before`` and ``after`` kill it there, ``ENOSPC`` and ``EIO``
let the call fail.
"""

from __future__ import annotations

import collections
import errno
import functools
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = (
    (r"jobs/\.removed-[^/]*", "removed folder"),
    (r"jobs/\.removed-[^/]*/.*", "file in removed folder"),
    (r"jobs/[0-9]+", "job folder"),
    (r"ledger\.sqlite.*\.damaged-[^/]*", "damaged ledger"),
    (r"alf/_ibl_[a-z]+Camera\.dlc\.pqt", "table"),
    (r"replaced/[^/]+", "folder in replaced"),
    (r"replaced/[^/]+/[^/]+\.pqt", "replaced table"),
    (r"replaced/[^/]+/[^/]+\.json", "replaced provenance"),
    (r"locks/[0-9a-f]{24}", "lock of the video"),
)
_PLAIN = ((r"\.locks-[0-9]+", ".locks"), (r"(left|right|body)[-.]", ""), (r"result\.[0-9]+\.json", "result.N.json"))


def name_of(path: str) -> str:
    """What a path is to a reader, whichever job or camera it belongs to."""
    for pattern, name in NAMES:
        if re.search(rf"(^|/){pattern}\Z", path):
            return name
    name = Path(path).name
    for pattern, plain in _PLAIN:
        name = re.sub(rf"\A{pattern}", plain, name)
    return name


class Faults:
    """The faults of this process: ``kind`` is its command, ``job`` the folder that it runs."""

    def __init__(self, plan: dict[str, Any], words: list[str]) -> None:
        self._plan = plan
        self._kind = words[0] if words else ""
        self._job = Path(words[1]).name if self._kind == "run-job" and len(words) > 1 else ""
        self._seen: collections.Counter[str] = collections.Counter()

    def concern(self, path: str) -> bool:
        """Whether a path is the lab's."""
        return path.startswith(self._plan["folder"] + os.sep)

    def run(self, point: str, failure: Callable[[int], Exception], call: Callable[[], Any]) -> Any:
        """Do what is to be done, unless this is where it goes wrong."""
        self._seen[point] += 1
        at = f"{point}#{self._seen[point]}"
        with open(self._plan["points"], "a", encoding="utf-8") as file:
            file.write(f"{self._kind}\t{self._job}\t{at}\n")
        how = self._now(at)
        if how == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if how in ("ENOSPC", "EIO"):
            raise failure(getattr(errno, how))
        done = call()
        if how == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    def _now(self, at: str) -> str:
        for index, fault in enumerate(self._plan["faults"]):
            if fault["kind"] == self._kind and fault["at"] == at and fault["job"] in ("", self._job):
                try:
                    os.close(os.open(os.path.join(self._plan["marks"], str(index)), os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                return str(fault["how"])
        return ""


def wrap(faults: Faults, name: str, subject: Callable[..., Any], worth: Callable[[str], bool] = lambda _: True) -> None:
    """Wrap a function of ``os``; ``subject`` finds its path, ``worth`` says whether it would change anything."""
    real = getattr(os, name)

    @functools.wraps(real)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        path = os.fsdecode(subject(*arguments))
        if options.get("dir_fd") is not None:
            path = os.path.join(_at(options["dir_fd"]), path)
        path = os.path.abspath(path)
        if not faults.concern(path) or not worth(path):
            return real(*arguments, **options)
        point = f"{name} {name_of(path)}"
        return faults.run(
            point, lambda number: OSError(number, os.strerror(number), path), lambda: real(*arguments, **options)
        )

    setattr(os, name, wrapped)
    if real in os.supports_dir_fd:
        os.supports_dir_fd.add(wrapped)


def _at(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _can_be_made(path: str) -> bool:
    return Path(path).parent.is_dir() and not os.path.lexists(path)


def caller() -> str:
    """Which function of ours began the transaction that ends now."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in ("transaction", "__exit__"):
        assert frame.f_back is not None
        frame = frame.f_back
    return "schema" if frame.f_code.co_name == "__init__" else frame.f_code.co_name.strip("_")


def connection(faults: Faults) -> type[sqlite3.Connection]:
    """A connection whose commits are points."""

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            run = super().execute
            if statement != "COMMIT":
                return run(statement, *values)
            return faults.run(  # type: ignore[no-any-return]
                f"commit {caller()}",
                lambda number: sqlite3.OperationalError(
                    "database or disk is full" if number == errno.ENOSPC else "disk I/O error"
                ),
                lambda: run(statement),
            )

    return Connection


def install(plan: dict[str, Any], words: list[str]) -> None:
    """From now on everything is counted."""
    faults = Faults(plan, words)
    wrap(faults, "replace", lambda _, final: final)
    wrap(faults, "rename", lambda _, final: final)
    wrap(faults, "link", lambda _, final: final)
    wrap(faults, "fsync", _at)
    wrap(faults, "mkdir", lambda path, *_: path, _can_be_made)
    wrap(faults, "unlink", lambda path: path, os.path.lexists)
    wrap(faults, "rmdir", lambda path: path, os.path.lexists)
    sqlite3.connect = functools.partial(sqlite3.connect, factory=connection(faults))  # type: ignore[assignment]


if "FAULTS" in os.environ and "iblvideo_admin" in sys.orig_argv:
    install(
        json.loads(Path(os.environ["FAULTS"]).read_text(encoding="utf-8")),
        sys.orig_argv[sys.orig_argv.index("iblvideo_admin") + 1 :],
    )
