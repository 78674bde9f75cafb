"""Frames a day by camera, as the bars of a picture."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from iblvideo_admin.render.amounts import count
from iblvideo_admin.rigs import CAMERAS

DAYS = 30
WIDTH, HEIGHT = 900, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 26
_DAY_S = 86400


def bars(done: Iterable[tuple[float, str, int]], now: float, days: int = DAYS) -> dict[str, Any]:
    """The last days, each with its bars one upon the other.

    ``done`` are (seconds since the epoch, camera, frames).  ``bars`` hold x, y, width, height, camera and title;
    ``lines`` y and label; ``days`` x and label, all in the units of :data:`WIDTH` and :data:`HEIGHT`.
    """
    names = [time.strftime("%Y-%m-%d", time.localtime(now - back * _DAY_S)) for back in range(days - 1, -1, -1)]
    sums: dict[str, dict[str, list[int]]] = {name: {} for name in names}
    for moment, camera, frames in done:
        day = sums.get(time.strftime("%Y-%m-%d", time.localtime(moment)))
        if day is not None:
            sum_of = day.setdefault(camera, [0, 0])
            sum_of[0] += frames
            sum_of[1] += 1
    top = _round_up(max((sum(frames for frames, _ in day.values()) for day in sums.values()), default=0))
    step, room = (WIDTH - _LEFT - _RIGHT) / days, HEIGHT - _TOP - _BOTTOM
    drawn = []
    for index, name in enumerate(names):
        base = float(HEIGHT - _BOTTOM)
        for camera in CAMERAS:
            frames, videos = sums[name].get(camera, (0, 0))
            if not frames:
                continue
            height = room * frames / top
            base -= height
            drawn.append(
                {
                    "x": round(_LEFT + index * step + step * 0.14, 1), "y": round(base, 1),
                    "width": round(step * 0.72, 1), "height": round(height, 1), "camera": camera,
                    "title": f"{name}, {camera} camera: {count(frames)} frames of {videos} videos",
                }
            )  # fmt: skip
    lines = [
        {"y": round(HEIGHT - _BOTTOM - room * part, 1), "label": _short(top * part), "x": _LEFT}
        for part in (0.0, 0.5, 1.0)
    ]
    every = [
        {"x": round(_LEFT + (index + 0.5) * step, 1), "label": name[5:]}
        for index, name in enumerate(names)
        if (len(names) - 1 - index) % 5 == 0
    ]
    return {"width": WIDTH, "height": HEIGHT, "bars": drawn, "lines": lines, "days": every, "any": bool(drawn)}


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... times a thousand."""
    step = 1000.0
    while True:
        for factor in (1, 2, 5):
            if value <= factor * step:
                return factor * step
        step *= 10


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value >= 1e3 else f"{value:g}"
