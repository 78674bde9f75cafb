"""Room on the disks, and how long it lasts at the rate of the last days.

Whoever looks leaves a sample, at most one an hour, in ``<state_dir>/disks.json``: nobody relies on it.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iblvideo_admin.files import exists, nearest, read_json, write_hint
from iblvideo_admin.settings import Settings

FOLDERS = ("subjects_dir", "state_dir")
DAY_S = 86400.0
_EVERY_S, _KEPT_S = 3600.0, 7 * DAY_S
_LEAST_SPAN_S = 0.5 * DAY_S  # less says nothing about days
_MOST_LEFT = 3650.0

Sample = tuple[float, int, int]  # when, bytes free, bytes in all


def look(settings: Settings, now: float) -> list[dict[str, Any]]:
    """Each folder's disk: ``free`` and ``total`` in bytes; ``per_day`` bytes that are used up and ``days_left``.

    The last two are None while that is not known; ``days_left`` also where nothing is used up, or where it lasts for
    more than ten years.  ``free`` and ``total`` are None where the disk does not answer.
    """
    kept = _read(settings.state_dir)
    disks, grown = [], False
    for name in FOLDERS:
        folder: Path = getattr(settings, name)
        free, total = _usage(folder)
        samples = kept.get(name, [])
        if free is not None and total is not None:
            # another size is another disk; a time to come is a clock that was set
            samples = [s for s in samples if s[2] == total and now - _KEPT_S <= s[0] <= now]
            if not samples or now - samples[-1][0] >= _EVERY_S:
                samples.append((now, free, total))
                grown = True
        per_day = rate(samples)
        disks.append(
            {
                "name": name,
                "path": str(folder),
                "exists": exists(folder),
                "free": free,
                "total": total,
                "per_day": per_day,
                "days_left": days_left(free, per_day),
            }
        )
        kept[name] = samples
    if grown and exists(settings.state_dir):
        write_hint(_file(settings.state_dir), {"samples": kept})
    return disks


def rate(samples: Sequence[Sample]) -> float | None:
    """Bytes a day that are used up: the median slope between any two samples, so that one big clean-up counts little.

    Negative where room is won; None where the samples span too little time.
    """
    if len(samples) < 3 or samples[-1][0] - samples[0][0] < _LEAST_SPAN_S:
        return None
    pairs = itertools.combinations(samples, 2)
    return statistics.median((a[1] - b[1]) / (b[0] - a[0]) for a, b in pairs if b[0] > a[0]) * DAY_S


def days_left(free: int | None, per_day: float | None) -> float | None:
    """Until nothing is free at this rate."""
    if free is None or per_day is None or per_day <= 0:
        return None
    left = free / per_day
    return round(left, 1) if left < _MOST_LEFT else None


def _usage(folder: Path) -> tuple[int | None, int | None]:
    try:
        usage = shutil.disk_usage(nearest(folder))
    except OSError:  # a file server that is gone
        return None, None
    return usage.free, usage.total


def _read(state_dir: Path) -> dict[str, list[Sample]]:
    """The samples by folder; whatever is damaged is left out."""
    content = (read_json(_file(state_dir)) or {}).get("samples")
    kept: dict[str, list[Sample]] = {}
    for name in FOLDERS:
        rows = content.get(name) if isinstance(content, dict) else None
        good = [tuple(row) for row in rows if _is_sample(row)] if isinstance(rows, list) else []
        kept[name] = sorted(good)
    return kept


def _is_sample(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(type(value) in (int, float) for value in row)


def _file(state_dir: Path) -> Path:
    return state_dir / "disks.json"
