"""``report``: one page about this server's work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iblvideo_admin import interruption
from iblvideo_admin.cli import options
from iblvideo_admin.cli.bar import bar
from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result


def report(
    html: Annotated[Path, typer.Option(metavar="FILE", parser=options.path, help="Where the page goes.")],
    sessions: Annotated[int, typer.Option(min=1, max=5000, metavar="N", help="The newest so many sessions.")] = 500,
    pictures: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of the newest so many videos a labelled frame.")
    ] = 100,
    json: Json = False,
) -> Result:
    """Write one page that needs no other file: throughput, failures, each video's traces and a labelled frame."""
    from iblvideo_admin import settings
    from iblvideo_admin.files import write_placed
    from iblvideo_admin.reporting import html as pages
    from iblvideo_admin.reporting import report as work

    interruption.end_on_sigterm()
    with bar("report") as progress:
        data = work.gather(settings.load(), sessions=sessions, pictures=pictures, progress=progress)
    content = pages.page(data).encode("utf-8", "replace")
    write_placed(html, content)
    about = {"html": str(html), "bytes": len(content), "sessions": data["sessions"], "videos": len(data["rows"])}
    return Result("report", {**about, "attention": data["snapshot"]["attention"]})
