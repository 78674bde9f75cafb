"""Points that a person gives where the region network finds nothing: ``--windows FILE`` or the settings.

TOML (or JSON), per camera the anchors in raw pixels::

    [left]
    nose_tip = [340, 560]
    pupil_top_r = [640, 313]
    tube_top = [330, 672]
    tube_bottom = [318, 728]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS, Camera

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Points = dict[str, tuple[float, float]]


def read(path: Path) -> dict[str, Points]:
    """The points per camera.  Raises ``windows.invalid``."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError("windows.invalid", f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not content:
        raise UserError("windows.invalid", f"{path} names no camera")
    return checked(content, str(path))


def checked(content: Any, where: str) -> dict[str, Points]:
    """The same from a table that was read elsewhere (the settings).  Raises ``windows.invalid``."""
    if not isinstance(content, Mapping):
        raise UserError("windows.invalid", f"{where}: not a table of cameras")
    for name in content:
        if name not in CAMERAS:
            raise UserError("windows.invalid", f"{where}: there is no camera {name!r}")
    return {name: _points(CAMERAS[name], points, where) for name, points in content.items()}


def _points(camera: Camera, points: Any, where: str) -> Points:
    if not isinstance(points, Mapping):
        raise UserError("windows.invalid", f"{where}: {camera.name} is not a table of points")
    result: Points = {}
    for name in camera.anchors:
        if name not in points:
            raise UserError("windows.invalid", f"{where}: {camera.name} lacks the point {name}")
        result[name] = _position(points[name], camera, f"{where}: {camera.name}.{name}")
    if unknown := points.keys() - set(camera.anchors):
        raise UserError("windows.invalid", f"{where}: {camera.name} has no anchor {min(unknown)!r}")
    return result


def _position(value: Any, camera: Camera, where: str) -> tuple[float, float]:
    # not isinstance: true and false are int too
    if not (isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)):
        raise UserError("windows.invalid", f"{where} must be [x, y], not {value!r}")
    x, y = value
    if not (0 <= x < camera.width and 0 <= y < camera.height):  # neither is NaN
        raise UserError(
            "windows.invalid", f"{where} = [{x}, {y}] lies outside the picture of {camera.width}x{camera.height}"
        )
    return float(x), float(y)
