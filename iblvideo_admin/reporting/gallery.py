"""What a report shows of one tracked video: how good its traces are, and a labelled frame.

Reading a table and decoding a frame take half a second: what was found is kept in ``<scratch_dir>/report``, by the
table's size and time, and nobody misses it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json, write_hint
from iblvideo_admin.sessions import Video

_SCHEMA = 1
_WIDTH, _QUALITY = 480, 62
_LOOKED_AT = 90  # frames from the beginning of the video, of which the surest is shown: no need to read all of it
_MOST_PICTURE = 400_000


def seen(video: Video, scratch_dir: Path, *, picture: bool) -> dict[str, Any]:
    """``quality`` (see :mod:`reporting.quality`; None without a table), ``problem``, and ``picture``: a JPEG in base64.

    A picture that is not asked for, or cannot be made, is None.
    """
    try:
        status = video.table.stat()
    except OSError:
        return {"quality": None, "picture": None, "problem": "its table is gone"}
    name = f"{_SCHEMA} {video.table.absolute()} {status.st_size} {status.st_mtime_ns}"
    kept = scratch_dir / "report" / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.json"
    known = read_json(kept)
    if known is not None and _is_sound(known) and (known["picture"] is not None or not picture):
        return known
    found = _look(video, picture=picture)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return found
    write_hint(kept, found)
    return found


def _look(video: Video, *, picture: bool) -> dict[str, Any]:
    from iblvideo_admin.reporting import quality, traces

    try:
        table = traces.read(video.table)
    except UserError as error:
        return {"quality": None, "picture": None, "problem": error.message}
    judged = quality.judged(table)
    try:
        return {"quality": judged, "picture": _picture(video, table) if picture else None, "problem": None}
    except UserError as error:  # the table is sound all the same
        return {"quality": judged, "picture": None, "problem": error.message}


def _picture(video: Video, table: Any) -> str | None:
    from PIL import Image

    from iblvideo_admin.reporting.labelled_frame import as_rgb
    from iblvideo_admin.reporting.labelled_video import Source, Wish

    if not table.frames:
        return None
    best = int(np.argmax(table.sure(0.9)[:_LOOKED_AT].sum(axis=1)))
    source = Source(Wish(video.path, video.table, end=best + 1))
    for number, luma in source.frames():
        if number == best:
            drawn = Image.fromarray(as_rgb(source.labeller(panel=False, width=_WIDTH)(number, luma)))
            small = drawn.resize((_WIDTH, round(drawn.height * _WIDTH / drawn.width)), Image.Resampling.LANCZOS)
            with io.BytesIO() as file:
                small.save(file, "JPEG", quality=_QUALITY)
                return base64.b64encode(file.getvalue()).decode()
    return None


def _is_sound(known: dict[str, Any]) -> bool:
    """Whether it looks like ours: the folder may be anybody's."""
    picture, quality = known.get("picture"), known.get("quality")
    if not (picture is None or (isinstance(picture, str) and picture.isascii() and len(picture) < _MOST_PICTURE)):
        return False
    try:
        figures = quality is None or all(
            value is None or isinstance(value, (int, float))
            for one in (quality, *quality["points"].values())
            for value in (one["sure"], one["missing"], one["jumps"])
        )
        return figures and {"problem"} <= known.keys() and (quality is None or isinstance(quality["worst"], str))
    except (TypeError, KeyError, AttributeError):
        return False
