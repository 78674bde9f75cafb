"""What ``compare`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iblvideo_admin.render.text import columns, plain

_HEAD = ("point", "frames", "median px", "95 % px", "largest", "dx", "dy", "only old", "only new", "")


def compare(data: dict[str, Any]) -> list[str]:
    """The verdict, a line for each point, where it is worst, and why it fails."""
    rows: list[Sequence[object]] = [_HEAD]
    for one in data["points"]:
        figures = (_px(one[name]) for name in ("median", "p95", "largest", "dx", "dy"))
        only = (f"{100 * one[name]:.1f} %" for name in ("only_old", "only_new"))
        rows.append((one["point"], one["frames"], *figures, *only, "TOO FAR" if one["beyond"] else "good"))
    lines = [f"compare: {data['verdict']}, {data['rows'][0]} and {data['rows'][1]} rows", *columns(rows)]
    if data["worst"]:
        worst = ", ".join(f"{one['frame']} ({one['point']} {one['px']:.1f} px)" for one in data["worst"])
        lines.append(f"farthest apart in the frames {worst}")
    lines += [f"wrong: {plain(text)}" for text in data["wrong"]]
    return lines + ([f"pictures: {plain(data['pictures'])}"] if data["pictures"] else [])


def _px(value: float | None) -> str:
    return "N/A" if value is None else f"{value:.2f}"
