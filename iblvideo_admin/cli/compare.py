"""``compare``: two tables of one video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iblvideo_admin.cli import options
from iblvideo_admin.cli.options import Json
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.result import Result


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", parser=options.path, help="A table, as from another server.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", parser=options.path, help="The table that is judged.")],
    median: Annotated[
        float, typer.Option(min=0, metavar="PX", help="A point's median distance, in its network's pixels, at most.")
    ] = 2.0,
    p95: Annotated[float, typer.Option(min=0, metavar="PX", help="The distance that 95 % of its frames keep.")] = 12.0,
    unsure: Annotated[
        float, typer.Option(min=0, max=1, metavar="PART", help="Frames in which only one table is sure, at most.")
    ] = 0.05,
    threshold: Annotated[float, typer.Option(min=0, max=1, metavar="P", help="Sure is who is as likely.")] = 0.9,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="PNG", parser=options.path, help="The frames that differ most, on one page."),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=options.path, help="Theirs; otherwise found beside one of the tables."),
    ] = None,
    json: Json = False,
) -> Result:
    """Say how far two tables of one video are apart, point by point; exit status 1 where that is more than agreed."""
    from iblvideo_admin.reporting import comparison, traces

    before, after = traces.read(old), traces.read(new)
    data = comparison.compare(before, after, comparison.Tolerances(median, p95, unsure, threshold))
    data["pictures"] = None
    if pictures is not None and data["worst"]:
        from iblvideo_admin.reporting import difference_sheet

        of = video or traces.video_of(new) or traces.video_of(old)
        if of is None:
            raise UserError("path.missing", "neither table lies in a session with its video", "Name it with --video.")
        difference_sheet.write(of, before, after, data["worst"], pictures)
        data["pictures"] = str(pictures)
    return Result("compare", data, 0 if data["verdict"] == "pass" else FAILED)
