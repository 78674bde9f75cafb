"""How good a table's traces are, as far as they themselves tell.

``sure``
    the part of frames in which a point's likelihood reaches 0.9
``missing``
    the part of frames in which the table has no position (NaN)
``jumps``
    steps between neighbouring frames, both sure, of more than a 64th of the picture's width (20 px of 1280, as
    DeepLabCut's own search for outliers has it), in a thousand such steps
"""

from __future__ import annotations

from typing import Any

import numpy as np

from iblvideo_admin.reporting.traces import Traces, camera_of

SURE = 0.9
BINS = 60  # of a course over the whole video
_JUMP = 1 / 64
_USUAL_WIDTH = 1280


def judged(traces: Traces) -> dict[str, Any]:
    """Of each point and of the whole table: ``sure``, ``missing`` (0 to 1), ``likelihood`` (median), ``jumps``.

    A point's ``course`` is the part of sure frames in each of 60 stretches of the video, or fewer where it is shorter.
    ``worst`` is the point that is least sure.  Figures are None where there is nothing to judge.
    """
    camera = camera_of(traces.path)
    limit = (camera.width if camera else _USUAL_WIDTH) * _JUMP
    sure = traces.sure(SURE)
    points = {
        name: _point(traces.xy[:, column], traces.likelihood[:, column], sure[:, column], limit)
        for column, name in enumerate(traces.points)
    }
    least = min(points, key=lambda name: (points[name]["sure"] is None, points[name]["sure"] or 0.0))
    return {
        "frames": traces.frames,
        "sure": _mean([one["sure"] for one in points.values()]),
        "missing": _mean([one["missing"] for one in points.values()]),
        "jumps": _mean([one["jumps"] for one in points.values()]),
        "worst": least,
        "points": points,
    }


def _point(xy: np.ndarray, likelihood: np.ndarray, sure: np.ndarray, limit: float) -> dict[str, Any]:
    steps = np.hypot(*np.diff(xy, axis=0).T)[sure[1:] & sure[:-1]] if len(xy) > 1 else np.empty(0)
    known = likelihood[np.isfinite(likelihood)]
    pieces = np.array_split(sure, min(BINS, len(sure))) if len(sure) else []
    return {
        "sure": round(float(sure.mean()), 4) if len(sure) else None,
        "missing": round(float((~np.isfinite(xy).all(axis=1)).mean()), 4) if len(xy) else None,
        "likelihood": round(float(np.median(known)), 4) if len(known) else None,
        "jumps": round(1000 * float((steps > limit).mean()), 2) if len(steps) else None,
        "course": [round(float(piece.mean()), 2) for piece in pieces],
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None
