"""A table of points as arrays, whoever made it: ours, Lightning Pose's, or DeepLabCut's own CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Camera
from iblvideo_admin.sessions import RAW, Video
from iblvideo_admin.tracking.pictures import Box

_OF_A_POINT = ("x", "y", "likelihood")
KINDS = (".dlc.pqt", ".lightningPose.pqt")


@dataclass(frozen=True)
class Traces:
    """All points of a video, in pixels of the raw video.

    ``xy`` is (frames, points, 2) and ``likelihood`` (frames, points), both float64, NaN where a table says nothing.
    ``windows`` are where the networks looked, in the raw video's pixels by network, as far as the table says.
    """

    path: Path
    points: tuple[str, ...]
    xy: np.ndarray
    likelihood: np.ndarray
    windows: Mapping[str, Box] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """The number of rows."""
        return len(self.xy)

    def sure(self, threshold: float) -> np.ndarray:
        """Where a point is somewhere and its likelihood at least this, (frames, points) bool."""
        known: np.ndarray = np.isfinite(self.xy).all(axis=2)
        return known & (self.likelihood >= threshold)


def read(path: Path) -> Traces:
    """A table.  Raises ``path.missing`` and ``table.not_usable``."""
    if not path.is_file():
        raise UserError("path.missing", f"there is no table {path}")
    try:
        columns, provenance = _csv(path) if path.suffix == ".csv" else _parquet(path)
    except (OSError, ValueError, LookupError, ArithmeticError) as error:  # pyarrow's are ValueErrors and OSErrors
        raise UserError("table.not_usable", f"{path} cannot be read as a table of points: {error}") from error
    points = tuple(name.removesuffix("_x") for name in columns if name.endswith("_x"))
    points = tuple(point for point in points if f"{point}_y" in columns)
    if not points:
        raise UserError("table.not_usable", f"{path} has no columns <point>_x and <point>_y")
    rows = len(columns[f"{points[0]}_x"])
    none = np.full(rows, np.nan)
    x, y, likelihood = (
        np.stack([columns.get(f"{point}_{what}", none) for point in points], axis=1) for what in _OF_A_POINT
    )
    if all(f"{point}_likelihood" not in columns for point in points):  # made by hand: whoever clicked was sure
        likelihood = np.where(np.isfinite(x), 1.0, np.nan)
    return Traces(path, points, np.stack([x, y], axis=2), likelihood, _windows(provenance, path), provenance)


def table_of(video: Path) -> Path:
    """The table that belongs to a raw video: ours, else Lightning Pose's.  Raises ``path.missing``."""
    try:
        of = Video.at(video)
    except UserError:
        raise UserError(
            "path.missing", f"{video} is not in the IBL's layout, so nobody knows its table", "Name it with --table."
        ) from None
    found = [of.alf / f"_ibl_{of.camera.name}Camera{kind}" for kind in KINDS]
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        raise UserError(
            "path.missing",
            f"{of.alf} has no table of the {of.camera.name} camera",
            "Track the video first, or --table.",
        )
    return path


def video_of(table: Path) -> Path | None:
    """The raw video that a table of a session belongs to, where it is there."""
    name = table.name.removeprefix("_ibl_").split("Camera.")[0]
    folder = next((parent for parent in table.parents if parent.name == "alf"), None)
    if name not in CAMERAS or folder is None:
        return None
    path = folder.parent / RAW / CAMERAS[name].raw_name
    return path if path.is_file() else None


def _parquet(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    import pyarrow.parquet as pq

    from iblvideo_admin.tracking.table import provenance_of

    wanted = [name for name in pq.read_schema(path).names if name.rsplit("_", 1)[-1] in _OF_A_POINT]
    table = pq.read_table(path, columns=wanted)
    columns = {name: np.asarray(table[name].to_numpy(), np.float64) for name in wanted}
    try:
        provenance = provenance_of(path)
    except ValueError:
        provenance = None
    return columns, provenance if isinstance(provenance, dict) else {}


def _csv(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """DeepLabCut's: three rows of header (scorer, bodyparts, coords), the first column a number or a picture's name."""
    import csv

    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        _, parts, what = next(rows, []), next(rows, []), next(rows, [])
        if parts[:1] != ["bodyparts"] or what[:1] != ["coords"]:
            raise ValueError("its header is not DeepLabCut's")
        body = [[float(cell or "nan") for cell in row[1:]] for row in rows if row]
    values = np.array(body, np.float64).reshape(len(body), -1)
    if body and values.shape[1] != len(parts) - 1:
        raise ValueError("its rows are not as long as its header")
    values = values.reshape(len(body), len(parts) - 1)
    return {f"{p}_{w}": values[:, i] for i, (p, w) in enumerate(zip(parts[1:], what[1:], strict=True))}, {}


def _windows(provenance: Mapping[str, Any], path: Path) -> dict[str, Box]:
    """Where the networks looked, in raw pixels; nothing where the provenance is not as we write it."""
    camera = camera_of(path)
    try:
        boxes = {name: Box(**box) for name, box in provenance["regions"]["windows"].items() if name in NETWORKS}
        return {name: raw_box(box, camera) for name, box in boxes.items()} if camera else {}
    except (KeyError, TypeError, AttributeError):
        return {}


def raw_box(box: Box, camera: Camera) -> Box:
    """A window of the networks' frame, in pixels of the raw video."""
    x, y, width, height = (value // camera.upscaled for value in (box.x, box.y, box.width, box.height))
    return Box(camera.width - x - width if camera.mirrored else x, y, width, height)


def camera_of(path: Path) -> Camera | None:
    """The camera that a video or a table is named after."""
    for name, camera in CAMERAS.items():
        if path.name.startswith((f"_ibl_{name}Camera.", f"_iblrig_{name}Camera.")):
            return camera
    return None
