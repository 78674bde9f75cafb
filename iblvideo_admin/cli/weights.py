"""``weights``: the networks that are installed here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result

app = typer.Typer(help="The networks that are installed here.", no_args_is_help=True)


@app.command()
def convert(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A weights folder; without it the configured one.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Run them beside TensorFlow 1.13.1 and refuse what differs.")
    ] = False,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A raw video, for real pictures to --verify with.")
    ] = None,
    json: Json = False,
) -> Result:
    """Convert the networks to ONNX files, which need no TensorFlow.  The weights folder stays as it is."""
    from iblvideo_admin import converting, settings
    from iblvideo_admin.cli.streams import tell

    return converting.convert(settings.load(), folder, verify=verify, video=video, progress=tell)
