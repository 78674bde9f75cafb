"""Some frames of a video on one page, with their points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import placed
from iblvideo_admin.reporting.canvas import DARK, LIGHT
from iblvideo_admin.reporting.labelled_frame import as_rgb, caption
from iblvideo_admin.reporting.labelled_video import Source
from iblvideo_admin.reporting.palette import look

_COLUMNS, _ROWS, _CELL, _GAP, _TEXT = 3, 4, 560, 8, 15


def spread(first: int, end: int, most: int = _COLUMNS * _ROWS) -> list[int]:
    """Numbers spread evenly over a range, the first and the last among them."""
    return sorted({round(number) for number in np.linspace(first, end - 1, min(most, end - first))})


def write(source: Source, out: Path, numbers: Sequence[int], titles: Sequence[str] | None = None) -> int:
    """Write these frames as one PNG; how many there are on it.

    ``titles`` stand over the frames, otherwise number and time.  Raises ``output.taken``, ``output.not_writable``,
    ``disk.full``, and ``video.corrupt`` where none of the frames can be decoded.
    """
    source.require_free(out)
    labeller = source.labeller(panel=False, width=_CELL)
    named = dict(zip(numbers, titles or [caption(number, source.reader.info.rate) for number in numbers], strict=True))
    cells = [
        _cell(as_rgb(labeller(number, luma)), named[number]) for number, luma in source.reader.frames_at(sorted(named))
    ]
    if not cells:
        raise UserError("video.corrupt", f"{source.wish.video}: none of these frames can be decoded")
    page = _page(cells, source.traces.points)
    with placed(out) as part:
        page.save(part, format="PNG")
    return len(cells)


def _cell(rgb: np.ndarray, title: str) -> Image.Image:
    whole = Image.fromarray(rgb)
    height = max(round(whole.height * _CELL / whole.width), 1)
    cell = Image.new("RGB", (_CELL, height + 2 * _TEXT), DARK)
    cell.paste(whole.resize((_CELL, height), Image.Resampling.LANCZOS), (0, 2 * _TEXT))
    ImageDraw.Draw(cell).text((2, _TEXT), title, fill=LIGHT, font=ImageFont.load_default(_TEXT), anchor="lm")
    return cell


def _page(cells: Sequence[Image.Image], points: Sequence[str]) -> Image.Image:
    columns = min(_COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    width, height = columns * (_CELL + _GAP) + _GAP, rows * (cells[0].height + _GAP) + _GAP
    legend = _legend(points, width)
    page = Image.new("RGB", (width, height + legend.height), DARK)
    for index, cell in enumerate(cells):
        column, row = index % columns, index // columns
        page.paste(cell, (_GAP + column * (_CELL + _GAP), _GAP + row * (cells[0].height + _GAP)))
    page.paste(legend, (0, height))
    return page


def _legend(points: Sequence[str], width: int) -> Image.Image:
    """Names in their colours, as many in a line as there is room for."""
    font = ImageFont.load_default(_TEXT)
    places, x, y = [], _GAP, 0
    for point in points:
        room = round(font.getlength(point)) + 4 * _GAP
        if x + room > width and x > _GAP:
            x, y = _GAP, y + 2 * _TEXT
        places.append((x, y))
        x += room
    legend = Image.new("RGB", (width, y + 2 * _TEXT + _GAP), DARK)
    draw = ImageDraw.Draw(legend)
    for (x, y), (point, (colour, shape)) in zip(places, look(points).items(), strict=True):
        box = (x, y + _TEXT - 6, x + 12, y + _TEXT + 6)
        (draw.ellipse if shape == "disc" else draw.rectangle)(box, fill=colour)
        draw.text((x + 18, y + _TEXT), point, fill=LIGHT, font=font, anchor="lm")
    return legend
