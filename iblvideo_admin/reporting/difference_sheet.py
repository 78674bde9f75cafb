"""The frames in which two tables differ most, as pictures: the old places as rings, the new ones as full marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import placed
from iblvideo_admin.reporting.canvas import DARK, LIGHT
from iblvideo_admin.reporting.palette import look
from iblvideo_admin.reporting.traces import Traces
from iblvideo_admin.tracking.video import Reader

_COLUMNS, _CELL, _GAP, _TEXT = 3, 480, 8, 15
_LEAST_ROOM = 120.0  # px of the raw video around what is apart


def write(video: Path, old: Traces, new: Traces, worst: list[dict[str, Any]], out: Path) -> int:
    """Write these frames, each cut out around the point that is farthest apart, as one PNG; how many there are.

    Raises ``output.not_writable``, ``disk.full``, what the reader raises, and ``video.corrupt`` where none of the
    frames can be decoded.
    """
    reader = Reader(video)
    of = {one["frame"]: one for one in worst}
    cells = {number: _cell(reader.levels[luma], old, new, of[number]) for number, luma in reader.frames_at(sorted(of))}
    if not cells:
        raise UserError("video.corrupt", f"{video}: none of the frames can be decoded")
    shown = [cells[one["frame"]] for one in worst if one["frame"] in cells]
    columns = min(_COLUMNS, len(shown))
    rows, height = -(-len(shown) // columns), shown[0].height
    page = Image.new("RGB", (columns * (_CELL + _GAP) + _GAP, rows * (height + _GAP) + 3 * _TEXT), DARK)
    for index, cell in enumerate(shown):
        page.paste(cell, (_GAP + index % columns * (_CELL + _GAP), index // columns * (height + _GAP)))
    legend = "ring: old table      full mark: new table      dark: not sure"
    ImageDraw.Draw(page).text(
        (_GAP, page.height - 1.5 * _TEXT), legend, fill=LIGHT, font=ImageFont.load_default(_TEXT), anchor="lm"
    )
    with placed(out) as part:
        page.save(part, format="PNG")
    return len(shown)


def _cell(grey: np.ndarray, old: Traces, new: Traces, about: dict[str, Any]) -> Image.Image:
    """A square of the frame, both places of the point in it, enlarged; all other points there, too."""
    number = about["frame"]
    ends = np.stack([table.xy[number, table.points.index(about["point"])] for table in (old, new)])
    height, width = grey.shape
    side = min(max(2.5 * float(np.abs(ends[1] - ends[0]).max()), _LEAST_ROOM), width, height)
    left, top = (
        float(min(max(middle - side / 2, 0), room - side))
        for middle, room in zip(ends.mean(axis=0), (width, height), strict=True)
    )
    box = (left, top, left + side, top + side)
    square = Image.fromarray(np.ascontiguousarray(grey)).resize((_CELL, _CELL), Image.Resampling.BICUBIC, box=box)
    cell = Image.new("RGB", (_CELL, _CELL + 2 * _TEXT), DARK)
    cell.paste(square.convert("RGB"), (0, 2 * _TEXT))
    draw = ImageDraw.Draw(cell)
    title = f"frame {number}   {about['point']}  {about['px']:.1f} px apart"
    draw.text((2, _TEXT), title, fill=LIGHT, font=ImageFont.load_default(_TEXT), anchor="lm")

    def at(place: np.ndarray) -> tuple[float, float]:
        return ((place[0] + 0.5 - left) * _CELL / side, (place[1] + 0.5 - top) * _CELL / side + 2 * _TEXT)

    for point, (colour, _) in look(new.points).items():
        if point not in old.points:
            continue
        places = [table.xy[number, table.points.index(point)] for table in (old, new)]
        if not np.isfinite(places).all() or not all(_inside(place, box) for place in places):
            continue
        sure = all(table.likelihood[number, table.points.index(point)] >= 0.9 for table in (old, new))
        ink = colour if sure else tuple(value // 2 for value in colour)
        (x0, y0), (x1, y1) = (at(place) for place in places)
        draw.line((x0, y0, x1, y1), fill=ink, width=2)
        draw.ellipse((x0 - 8, y0 - 8, x0 + 8, y0 + 8), outline=DARK, width=5)
        draw.ellipse((x0 - 7, y0 - 7, x0 + 7, y0 + 7), outline=ink, width=3)
        draw.ellipse((x1 - 6, y1 - 6, x1 + 6, y1 + 6), fill=ink, outline=DARK)
    return cell


def _inside(place: np.ndarray, box: tuple[float, float, float, float]) -> bool:
    return bool(box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3])
