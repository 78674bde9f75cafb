"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else there.")]

CameraName = Literal["left", "right", "body"]
StatusName = Literal["Waiting", "Held", "Started", "Complete", "Errored", "Incomplete", "Empty", "Abandoned"]
