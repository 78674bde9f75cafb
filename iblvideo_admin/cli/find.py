"""``find``: where the traces of a session are."""

from __future__ import annotations

from typing import Annotated

import typer

from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result


def find(
    what: Annotated[str, typer.Argument(metavar="EID|SUBJECT", help="A session's id in Alyx, or a mouse.")],
    offline: Annotated[bool, typer.Option("--offline", help="Ask this server alone.")] = False,
    json: Json = False,
) -> Result:
    """Where the traces of a session, or of a mouse's sessions, are: here, registered in Alyx, by which weights."""
    from iblvideo_admin import settings
    from iblvideo_admin.alyx import finding

    return Result("find", finding.find(what, settings.load(), offline=offline))
