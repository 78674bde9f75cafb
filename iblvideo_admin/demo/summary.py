"""What the demo's tracking found, beside what is true: a table for a person and one labelled frame per camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..render import columns
from ..rigs import CAMERAS, Camera
from ..sessions import Video
from .session import read_truth, truth_path

SURE = 0.9


_LEGEND = (
    "median px, 95 % below: distance from the truth in px of the raw video, where the point can be seen",
    "  (the paws' network sees a picture ten times smaller; the median filter cuts off a tongue's quick ends)",
    "always its mean: the error of always answering with the point's mean position, and how many times worse it is",
    "sure: likelihood above 0.9 in the frames in which the point can be seen, or is hidden",
)


@dataclass(frozen=True)
class PointSummary:
    """One point's errors in px of the raw video, over the frames in which it can be seen.

    ``guess`` is the median error of whoever always says the point's mean position; ``sure`` the part of those
    frames with a likelihood above 0.9; ``false`` the part of the others with one.
    """

    name: str
    median: float
    worst5: float
    guess: float
    sure: float
    false: float | None


@dataclass(frozen=True)
class CameraSummary:
    """One camera's table against its truth."""

    video: Video
    frames: int
    fps: float
    points: tuple[PointSummary, ...]
    picture: Path


def summarize(session: Path) -> list[CameraSummary]:
    """Compare every rendered camera's table with its truth, and draw a frame of each.

    Raises ``path.missing`` where there is no table yet.
    """
    found = [camera for camera in CAMERAS.values() if truth_path(session, camera.name).exists()]
    if not found:
        raise UserError("path.missing", f"{session} holds no rendered camera", "Render it first.")
    return [_camera(Video(session, camera)) for camera in found]


def lines(summaries: list[CameraSummary]) -> list[str]:
    """The summary as text."""
    text: list[str] = []
    for summary in summaries:
        camera = summary.video.camera
        text += [
            f"{camera.name} camera ({camera.width}x{camera.height}): {summary.frames} frames, "
            f"{summary.fps:.1f} frames/s",
            *(
                f"  {line}"
                for line in columns(
                    [
                        ("point", "median px", "95 % below", "always its mean", "sure when seen", "sure when hidden"),
                        *(_row(point) for point in summary.points),
                    ]
                )
            ),
            f"  table: {summary.video.table}",
            f"  frame: {summary.picture}",
            "",
        ]
    text += _one(summaries)
    return [*text, "", *_LEGEND]


def _row(point: PointSummary) -> tuple[str, ...]:
    hidden = "" if point.false is None else f"{100 * point.false:.0f} %"
    ratio = point.guess / max(point.median, 1e-9)
    errors = (f"{point.median:.2f}", f"{point.worst5:.2f}", f"{point.guess:.1f} ({ratio:.0f}x)")
    return (point.name, *errors, f"{100 * point.sure:.0f} %", hidden)


def _one(summaries: list[CameraSummary]) -> list[str]:
    """What the IBL's own client finds in the session."""
    from one.alf import io as alfio

    text = []
    for summary in summaries:
        name = f"{summary.video.camera.name}Camera"
        table = alfio.load_object(summary.video.alf, name, namespace="ibl", attribute="dlc")["dlc"]
        text.append(f"ONE finds {name}.dlc: {len(table)} rows, {len(table.columns)} columns")
    return text


def _camera(video: Video) -> CameraSummary:
    import pyarrow.parquet as pq

    from ..tracking.table import provenance_of

    if not video.table.exists():
        raise UserError("path.missing", f"{video.table} does not exist", "Track the session first.")
    table = pq.read_table(video.table).to_pandas()
    provenance: dict[str, Any] = provenance_of(video.table) or {}
    truth, _ = read_truth(video.session, video.camera)
    seconds = provenance.get("seconds", {}).get("tracking", float("nan"))
    points = tuple(_point(name, truth[name], table) for name in video.camera.points)
    picture = _draw(video, truth, table)
    return CameraSummary(video, len(table), len(table) / seconds, points, picture)


def _point(name: str, truth: np.ndarray, table: Any) -> PointSummary:
    found = table[[f"{name}_x", f"{name}_y"]].to_numpy()
    likelihood = table[f"{name}_likelihood"].to_numpy()
    seen = np.isfinite(truth[:, 0])
    error = np.hypot(*(found[seen] - truth[seen]).T)
    guess = np.hypot(*(truth[seen] - truth[seen].mean(axis=0)).T)
    hidden = likelihood[~seen]
    return PointSummary(
        name,
        float(np.median(error)),
        float(np.percentile(error, 95)),
        float(np.median(guess)),
        float((likelihood[seen] > SURE).mean()),
        float((hidden > SURE).mean()) if len(hidden) else None,
    )


def _draw(video: Video, truth: dict[str, np.ndarray], table: Any) -> Path:
    """One frame with its points: the middle one of those in which most points can be seen."""
    from ..tracking import drawing
    from ..tracking.video import Reader

    seen = sum(np.isfinite(truth[name][:, 0]).astype(int) for name in video.camera.points)
    best = np.flatnonzero(seen == np.max(seen))
    number = int(best[len(best) // 2])
    reader = Reader(video.path, video.camera)
    _, luma = next(iter(reader.frames_at([number])))
    row = table.iloc[number]
    points = {
        name: (float(row[f"{name}_x"]), float(row[f"{name}_y"]), float(row[f"{name}_likelihood"]))
        for name in video.camera.points
    }
    picture = drawing.labelled(reader.levels[luma], points, title=f"{_name(video.camera)}, frame {number}")
    path = video.session / "demo_pictures" / f"{video.camera.name}Camera.png"
    drawing.save(picture, path)
    return path


def _name(camera: Camera) -> str:
    return f"{camera.name} camera"
