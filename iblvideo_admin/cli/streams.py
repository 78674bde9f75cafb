"""Standard streams as a command can use them, whatever it was started with."""

from __future__ import annotations

import io
import os
import sys


def make_ready() -> None:
    """Three open descriptors, and output that takes any text.

    A closed one would be given to the next file that is opened, which then receives what is meant for a person.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False, encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False, encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """A line for whoever waits: never on standard output, which is the result's."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def finish() -> OSError | None:
    """Write out what is left; what cannot be written is thrown away.  Returns why standard output lost something."""
    lost: OSError | None = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            lost = error if stream is sys.stdout else lost
    return lost
