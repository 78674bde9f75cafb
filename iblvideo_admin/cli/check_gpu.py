"""``check-gpu``: whether the set-up works, and if not, which layer is at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result

Level = Literal["quick", "full"]


def check_gpu(
    toolchain: Annotated[str | None, typer.Option(metavar="NAME", help="Check this one, not the configured.")] = None,
    level: Annotated[Level, typer.Option(help="quick: card, driver and libraries only, in two seconds.")] = "full",
    gpu: Annotated[int | None, typer.Option(min=0, metavar="N", help="Look at this card only.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write this file if all is well, else remove it.")
    ] = None,
    json: Json = False,
) -> Result:
    """Say whether the set-up works and, if not, which layer is at fault and what to do."""
    from iblvideo_admin import settings
    from iblvideo_admin.gpu import check
    from iblvideo_admin.gpu.ready import ReadyFile

    with ReadyFile(ready_file) as ready:
        result = check.check_gpu(settings.load(), toolchain=toolchain, level=level, gpu=gpu)
        ready.tell(result)
    return result
