"""``label``: a video with its points drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from iblvideo_admin import interruption
from iblvideo_admin.cli import options
from iblvideo_admin.cli.bar import bar
from iblvideo_admin.cli.options import Json
from iblvideo_admin.errors import UserError
from iblvideo_admin.result import Result


def label(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", parser=options.path, help="A raw video.")],
    frames: Annotated[
        Any, typer.Option(metavar="A:B", parser=options.frames, help="Only from frame A to before B; A: or :B will do.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=options.path,
            help="An .mp4, or a .png of the first frame.  [default: SUBJECT_DATE_NUMBER_CAMERA.mp4 in this folder]",
        ),
    ] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(metavar="PNG", parser=options.path, help="Twelve frames on one page, and no video.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=options.path, help="Points of this table: .pqt, or DeepLabCut's .csv."),
    ] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, metavar="P", help="Points less likely are faint.")] = 0.9,
    full_size: Annotated[bool, typer.Option("--full-size", help="Large pictures stay large: slower.")] = False,
    json: Json = False,
) -> Result:  # fmt: skip
    """Draw the tracked points into a video that plays in a browser, or some of its frames onto a page."""
    from iblvideo_admin.reporting import contact_sheet as sheet
    from iblvideo_admin.reporting import labelled_video
    from iblvideo_admin.reporting.labelled_video import Source, Wish

    if contact_sheet is not None and out is not None:
        raise UserError("usage", "--contact-sheet makes no video", "Leave out --out.")
    first, end = frames or (0, None)
    interruption.end_on_sigterm()
    source = Source(Wish(video, table, first, end, threshold, full_size))
    about = {"video": str(video), "table": str(source.traces.path)}
    if contact_sheet is not None:
        shown = sheet.write(source, contact_sheet, sheet.spread(first, source.end))
        return Result("label", {**about, "out": str(contact_sheet), "frames": shown, "warnings": source.warnings})
    target = out or Path(labelled_video.usual_name(video))
    if target.suffix == ".png":
        labelled_video.write_picture(source, target, first)
        return Result("label", {**about, "out": str(target), "frames": 1, "warnings": source.warnings})
    if target.suffix != ".mp4":
        raise UserError("usage", f"{target} is neither an .mp4 nor a .png", "Name the file so.")
    with bar(f"label {target.name}") as progress:
        return Result("label", {**about, **labelled_video.write(source, target, progress)})
