"""``metrics``: this server now, for Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iblvideo_admin.cli import options
from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result


def metrics(
    textfile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=options.path, help="Write them there, for node exporter's textfiles."),
    ] = None,
    json: Json = False,
) -> Result:
    """Jobs, frames, cards, disks and what needs a person as Prometheus text."""
    from iblvideo_admin import settings
    from iblvideo_admin.reporting import metrics as work
    from iblvideo_admin.reporting import snapshot

    taken = snapshot.take(settings.load())
    if textfile is not None:
        work.write(taken, textfile)
        return Result("metrics", {"textfile": str(textfile), "text": None})
    return Result("metrics", {"textfile": None, "text": work.text(taken)})
