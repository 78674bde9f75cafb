"""``check-gpu``: whether the set-up works, and if not, which layer is at fault."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result

Level = Literal["quick", "full"]


def check_gpu(
    toolchain: Annotated[str | None, typer.Option(metavar="NAME", help="Check this one, not the configured.")] = None,
    level: Annotated[Level, typer.Option(help="quick looks at card and driver only.")] = "full",
    json: Json = False,
) -> Result:
    """Say whether the set-up works and, if not, which layer is at fault and what to do."""
    from iblvideo_admin import settings
    from iblvideo_admin.gpu import check

    return check.check_gpu(settings.load(), toolchain=toolchain, level=level)
