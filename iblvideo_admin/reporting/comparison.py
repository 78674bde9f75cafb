"""Two tables of one video: how far apart they are, where most, and whether that is within what was agreed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from iblvideo_admin.errors import UserError
from iblvideo_admin.reporting.traces import Traces, camera_of
from iblvideo_admin.rigs import NETWORKS

WORST = 6  # frames that are shown
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Tolerances:
    """What two trackings of one video may differ by.

    ``median`` and ``p95`` are distances of a point, in pixels of its own network's picture, over the frames in which
    both tables are sure of it; ``unsure`` is the part of all frames in which only one of them is.
    """

    median: float = 2.0
    p95: float = 12.0
    unsure: float = 0.05
    threshold: float = 0.9


@dataclass(frozen=True)
class PointDifference:
    """One point: distances in px of the raw video, where both are sure.

    ``scale`` is how many of these one pixel of the point's network is; ``beyond`` names what is not within tolerance.
    """

    point: str
    frames: int
    median: float | None
    p95: float | None
    largest: float | None
    dx: float | None
    dy: float | None
    only_old: float
    only_new: float
    likelihood: float | None
    scale: float
    beyond: tuple[str, ...]


def compare(old: Traces, new: Traces, tolerances: Tolerances) -> dict[str, Any]:
    """The data of ``compare``.  Raises ``table.not_usable`` where they share no point."""
    shared = [point for point in old.points if point in new.points]
    if not shared:
        raise UserError("table.not_usable", f"{old.path} and {new.path} share no point")
    rows = min(old.frames, new.frames)
    distances = np.full((rows, len(shared)), np.nan)
    points = []
    for column, point in enumerate(shared):
        difference, distances[:, column] = _point(old, new, point, rows, tolerances)
        points.append(difference)
    wrong = [
        f"{what} has {'' if there else 'no '}{point}"
        for what, one, other in (("only the old table", old, new), ("only the new table", new, old))
        for point in one.points
        if (there := point not in other.points)
    ]
    if old.frames != new.frames:
        wrong.append(f"the old table has {old.frames} rows, the new one {new.frames}")
    wrong += [f"{one.point}: {what}" for one in points for what in one.beyond]
    compared = sum(one.frames for one in points)
    verdict = "fail" if wrong else "pass" if compared else "unknown"
    return {
        "old": str(old.path), "new": str(new.path), "rows": [old.frames, new.frames], "verdict": verdict,
        "wrong": wrong if wrong or compared else ["in no frame are both tables sure of a point"],
        "tolerances": asdict(tolerances), "points": [asdict(one) for one in points],
        "worst": _worst(distances, [one.scale for one in points], shared),
    }  # fmt: skip


def _point(
    old: Traces, new: Traces, point: str, rows: int, tolerances: Tolerances
) -> tuple[PointDifference, np.ndarray]:
    """One point's difference, and its distance in each frame, (rows,) px, NaN where not both are sure."""
    mine = [(one, one.points.index(point)) for one in (old, new)]
    before, after = (one.xy[:rows, column] for one, column in mine)
    sure_before, sure_after = (one.sure(tolerances.threshold)[:rows, column] for one, column in mine)
    both = sure_before & sure_after
    apart = after[both] - before[both]
    distance = np.full(rows, np.nan)
    distance[both] = np.hypot(*apart.T)
    likely = [one.likelihood[:rows, column] for one, column in mine]
    known = np.isfinite(likely[0]) & np.isfinite(likely[1])
    scale = _scale(point, old, new)
    figures = _figures(distance[both])
    only_old, only_new = (float(one.mean()) if rows else 0.0 for one in (sure_before & ~both, sure_after & ~both))
    return PointDifference(
        point,
        int(both.sum()),
        *figures,
        dx=float(np.median(apart[:, 0])) if both.any() else None,
        dy=float(np.median(apart[:, 1])) if both.any() else None,
        only_old=only_old,
        only_new=only_new,
        likelihood=float(np.median(np.abs(likely[1] - likely[0])[known])) if known.any() else None,
        scale=scale,
        beyond=tuple(_beyond(figures, scale, only_old + only_new, tolerances)),
    ), distance


def _figures(distances: np.ndarray) -> tuple[float | None, float | None, float | None]:
    if not len(distances):
        return None, None, None
    return float(np.median(distances)), float(np.percentile(distances, 95)), float(np.max(distances))


def _beyond(
    figures: tuple[float | None, float | None, float | None], scale: float, unsure: float, tolerances: Tolerances
) -> list[str]:
    told = []
    for name, figure, most in (("median", figures[0], tolerances.median), ("95 %", figures[1], tolerances.p95)):
        if figure is not None and figure > most * scale + _ROUNDING:
            told.append(f"{name} {figure:.2f} px, at most {most * scale:g} px were agreed")
    if unsure > tolerances.unsure:
        told.append(f"only one table is sure in {100 * unsure:.1f} % of the frames, at most "
                    f"{100 * tolerances.unsure:g} % were agreed")  # fmt: skip
    return told


def _scale(point: str, *tables: Traces) -> float:
    """Pixels of the raw video in one of the point's own network; 1 where the rigs do not know it."""
    camera = next((camera for table in tables if (camera := camera_of(table.path))), None)
    network = next((n for n in NETWORKS.values() if point in n.points and n.name != "roi_detect"), None)
    if camera is None or network is None:
        return 1.0
    return network.points_factor / camera.upscaled


def _worst(distances: np.ndarray, scales: list[float], points: list[str]) -> list[dict[str, Any]]:
    """The frames in which some point is farthest apart, each with that point; no two of the same second or so."""
    relative = np.nan_to_num(distances / np.array(scales), nan=-1.0)
    if not relative.size:
        return []
    farthest = relative.argmax(axis=1)
    of_frame = relative[np.arange(len(relative)), farthest]
    chosen: list[int] = []
    for number in np.argsort(-of_frame, kind="stable")[:5000].tolist():
        if of_frame[number] <= 0 or len(chosen) == WORST:
            break
        if all(abs(number - other) > 30 for other in chosen):
            chosen.append(number)
    return [
        {"frame": number, "point": points[farthest[number]], "px": float(distances[number, farthest[number]])}
        for number in chosen
    ]
