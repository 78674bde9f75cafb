"""What several commands share."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else there.")]


class CameraName(str, Enum):
    """The cameras of :mod:`iblvideo_admin.rigs`, spelled out so that the command line starts without it."""

    left = "left"
    right = "right"
    body = "body"


class StatusName(str, Enum):
    """The statuses of :mod:`iblvideo_admin.queue.states`."""

    Waiting = "Waiting"
    Held = "Held"
    Started = "Started"
    Complete = "Complete"
    Errored = "Errored"
    Incomplete = "Incomplete"
    Empty = "Empty"
    Abandoned = "Abandoned"


def path(text: str) -> Path:
    """An empty path is a variable that was not set; it must not mean the folder one is in."""
    if not text:
        raise typer.BadParameter("the path is empty")
    return Path(text)


def globbed(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths as typed; one that is not there and holds ``*``, ``?`` or ``[`` stands for all that fit it, sorted."""
    found: dict[Path, None] = {}
    for one in paths:
        fitting = (
            [] if os.path.lexists(one) or not glob.has_magic(str(one)) else sorted(glob.glob(str(one), recursive=True))
        )
        found |= dict.fromkeys(map(Path, fitting or [str(one)]))
    return tuple(found)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+\Z")


def duration(text: str) -> float:
    """Seconds of ``2h``, ``30m``, ``1d12h``."""
    if not _DURATION.match(text) or not (
        seconds := sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)([smhd])", text))
    ):
        raise typer.BadParameter(f"{text!r} is no time; write it as in 2h, 30m or 1d12h")
    return seconds


_RANGE = re.compile(r"(?P<first>[0-9]{0,9})(?P<colon>:?)(?P<end>[0-9]{0,9})\Z")


def frames(text: str) -> tuple[int, int | None]:
    """``A:B`` are the frames from A to before B, either may be left out; ``A`` alone is one frame."""
    match = _RANGE.match(text)
    if match is None or not text or (match["end"] and not match["colon"]):
        raise typer.BadParameter(f"{text!r} is no range of frames; write it as in 100:200, 100: or 100")
    first = int(match["first"] or 0)
    if not match["colon"]:
        return first, first + 1
    end = int(match["end"]) if match["end"] else None
    if end is not None and end <= first:
        raise typer.BadParameter(f"{text!r} holds no frame")
    return first, end
