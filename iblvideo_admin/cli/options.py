"""What several commands share."""

from __future__ import annotations

from enum import Enum
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
