"""A small painter: soft-edged shapes from signed distances, layers stamped between pixels, textures, sensor noise.

Coordinates are scene pixels, centres at integers.  A canvas may be a window of the picture and may be smaller
than the scene by ``scale``: pixel (i, j) of the scaled picture lies at ((i + 0.5) / scale - 0.5, ...) in the scene.
All pictures are float32 grey levels of shape (height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.floating[Any]]
Pair = tuple[float, float]


class Canvas:
    """A window of ``width`` x ``height`` px at ``(x0, y0)`` of the picture, which is ``scale`` times the scene."""

    def __init__(self, width: int, height: int, x0: int = 0, y0: int = 0, scale: float = 1.0) -> None:
        self.pixels: Picture = np.zeros((height, width), np.float32)
        self.x0, self.y0, self.scale = x0, y0, scale

    def cut(self, low: Pair, high: Pair) -> tuple[Picture, Picture, Picture] | None:
        """The pixels of a scene box, as a view (h, w) with scene coordinates x (1, w) and y (h, 1); None outside."""
        height, width = self.pixels.shape
        left = max(int(np.floor((low[0] + 0.5) * self.scale - 0.5)) - self.x0, 0)
        top = max(int(np.floor((low[1] + 0.5) * self.scale - 0.5)) - self.y0, 0)
        right = min(int(np.ceil((high[0] + 0.5) * self.scale - 0.5)) - self.x0 + 1, width)
        bottom = min(int(np.ceil((high[1] + 0.5) * self.scale - 0.5)) - self.y0 + 1, height)
        if right <= left or bottom <= top:
            return None
        x = (np.arange(left, right) + self.x0 + 0.5) / self.scale - 0.5
        y = (np.arange(top, bottom) + self.y0 + 0.5) / self.scale - 0.5
        view = self.pixels[top:bottom, left:right]
        return view, x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]


def cover(distance: Picture, edge: float) -> Picture:
    """How much of each pixel a shape covers (0 to 1), from the signed distance to its outline (inside negative)."""
    covered: Picture = np.clip(0.5 - distance / np.float32(edge), 0, 1)
    return covered


def ellipse_distance(x: Picture, y: Picture, centre: Pair, radii: Pair, angle: float = 0.0) -> Picture:
    """About the signed distance to an ellipse (exact on its outline and for circles)."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along, across = (dx * cos + dy * sin) / np.float32(radii[0]), (dy * cos - dx * sin) / np.float32(radii[1])
    return (np.sqrt(along * along + across * across) - 1) * np.float32(np.sqrt(radii[0] * radii[1]))


def cone_distance(x: Picture, y: Picture, start: Pair, end: Pair, radius: float, end_radius: float) -> Picture:
    """About the signed distance to a thick line whose half width runs from ``radius`` to ``end_radius``."""
    ex, ey = end[0] - start[0], end[1] - start[1]
    square = max(ex * ex + ey * ey, 1e-6)
    dx, dy = x - np.float32(start[0]), y - np.float32(start[1])
    share = np.clip((dx * np.float32(ex) + dy * np.float32(ey)) / np.float32(square), 0, 1)
    dx, dy = dx - share * np.float32(ex), dy - share * np.float32(ey)
    return np.sqrt(dx * dx + dy * dy) - (np.float32(radius) + share * np.float32(end_radius - radius))


def box_distance(x: Picture, y: Picture, centre: Pair, half: Pair, angle: float, corner: float) -> Picture:
    """The signed distance to a turned box with half sides ``half`` and rounded corners of radius ``corner``."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = np.abs(dx * cos + dy * sin) - np.float32(half[0] - corner)
    across = np.abs(dy * cos - dx * sin) - np.float32(half[1] - corner)
    outside = np.hypot(np.maximum(along, 0), np.maximum(across, 0))
    return outside + np.minimum(np.maximum(along, across), 0) - np.float32(corner)


def smooth_union(first: Picture, second: Picture, blend: float) -> Picture:
    """Two shapes' distances joined, with a fillet of about ``blend`` px where they meet."""
    share = np.clip(0.5 + 0.5 * (second - first) / blend, 0, 1)
    joined: Picture = second + (first - second) * share - blend * share * (1 - share)
    return joined


def _fill(view: Picture, alpha: Picture, level: Picture | float) -> None:
    view += alpha * (level - view)


def ellipse(
    canvas: Canvas,
    centre: Pair,
    radii: Pair,
    level: float,
    edge: float,
    angle: float = 0.0,
    shade: float = 0.0,
) -> None:
    """Paint an ellipse; ``shade`` is by how many levels it darkens from its middle to its outline."""
    reach = max(radii) + edge
    part = canvas.cut((centre[0] - reach, centre[1] - reach), (centre[0] + reach, centre[1] + reach))
    if part is None:
        return
    view, x, y = part
    distance = ellipse_distance(x, y, centre, radii, angle)
    _fill(view, cover(distance, edge), level if not shade else _shaded(distance, min(radii), level, shade))


def cone(
    canvas: Canvas,
    start: Pair,
    end: Pair,
    radius: float,
    end_radius: float,
    level: float,
    edge: float,
    shade: float = 0.0,
    fade: float = 0.0,
) -> None:
    """Paint a thick line with round ends; over the first ``fade`` (share of its length) it comes out of nothing."""
    reach = max(radius, end_radius) + edge
    low = (min(start[0], end[0]) - reach, min(start[1], end[1]) - reach)
    part = canvas.cut(low, (max(start[0], end[0]) + reach, max(start[1], end[1]) + reach))
    if part is None:
        return
    view, x, y = part
    distance = cone_distance(x, y, start, end, radius, end_radius)
    alpha = cover(distance, edge)
    if fade:
        ex, ey = end[0] - start[0], end[1] - start[1]
        along = (
            (x - np.float32(start[0])) * np.float32(ex) + (y - np.float32(start[1])) * np.float32(ey)
        ) / np.float32(max(ex * ex + ey * ey, 1e-6) * fade)
        alpha *= np.clip(along, 0, 1)
    _fill(view, alpha, level if not shade else _shaded(distance, (radius + end_radius) / 2, level, shade))


def chain(
    canvas: Canvas,
    points: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    level: float,
    edge: float,
    shade: float = 0.0,
) -> None:
    """Paint a thick line through ``points`` (n, 2) with half widths ``radii`` (n,)."""
    reach = float(radii.max()) + edge
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    part = canvas.cut((low[0], low[1]), (high[0], high[1]))
    if part is None:
        return
    view, x, y = part
    distance = cone_distance(x, y, tuple(points[0]), tuple(points[1]), radii[0], radii[1])
    for i in range(1, len(points) - 1):
        piece = cone_distance(x, y, tuple(points[i]), tuple(points[i + 1]), radii[i], radii[i + 1])
        np.minimum(distance, piece, out=distance)
    _fill(view, cover(distance, edge), level if not shade else _shaded(distance, radii.mean(), level, shade))


def box(canvas: Canvas, centre: Pair, half: Pair, angle: float, corner: float, level: float, edge: float) -> None:
    """Paint a turned box with rounded corners."""
    reach = float(np.hypot(*half)) + edge
    part = canvas.cut((centre[0] - reach, centre[1] - reach), (centre[0] + reach, centre[1] + reach))
    if part is None:
        return
    view, x, y = part
    _fill(view, cover(box_distance(x, y, centre, half, angle, corner), edge), level)


def _shaded(distance: Picture, depth: float, level: float, shade: float) -> Picture:
    inside = np.clip(1 + distance / np.float32(max(depth, 1e-6)), 0, 1)
    shaded: Picture = np.float32(level) - np.float32(shade) * inside * inside
    return shaded


@dataclass(frozen=True)
class Layer:
    """A painted part with its coverage, premultiplied, at ``(x0, y0)`` of the scaled picture."""

    value: Picture
    alpha: Picture
    x0: int
    y0: int

    @classmethod
    def from_levels(cls, levels: npt.NDArray[Any], alpha: npt.NDArray[Any], x0: int, y0: int) -> Layer:
        """A layer of ``levels`` (h, w) seen where ``alpha`` (h, w) is 1."""
        return cls((levels * alpha).astype(np.float32), alpha.astype(np.float32), x0, y0)

    def halved(self) -> Layer:
        """The same layer for a picture of half the size; the offset and both sides must be even."""
        return Layer(halve(self.value), halve(self.alpha), self.x0 // 2, self.y0 // 2)

    def stamp(self, canvas: Canvas, dx: float, dy: float) -> None:
        """Paint the layer moved by ``(dx, dy)`` scene px; parts of a pixel are shared among its neighbours."""
        shift_x, shift_y = dx * canvas.scale, dy * canvas.scale
        whole_x, whole_y = int(np.floor(shift_x)), int(np.floor(shift_y))
        rest_x, rest_y = np.float32(shift_x - whole_x), np.float32(shift_y - whole_y)
        # pixel (0, 0) of the layer's inner part needs its upper and left neighbours: the outermost row is spent
        left, top = self.x0 + whole_x + 1 - canvas.x0, self.y0 + whole_y + 1 - canvas.y0
        height, width = self.value.shape
        x_from, x_to = max(left, 0), min(left + width - 1, canvas.pixels.shape[1])
        y_from, y_to = max(top, 0), min(top + height - 1, canvas.pixels.shape[0])
        if x_to <= x_from or y_to <= y_from:
            return
        rows, columns = slice(y_from - top, y_to - top + 1), slice(x_from - left, x_to - left + 1)
        view = canvas.pixels[y_from:y_to, x_from:x_to]
        view -= view * _between(self.alpha[rows, columns], rest_x, rest_y)
        view += _between(self.value[rows, columns], rest_x, rest_y)


def _between(source: Picture, rest_x: np.float32, rest_y: np.float32) -> Picture:
    """``source`` (h + 1, w + 1) moved right and down by parts of a pixel: (h, w), linear between neighbours."""
    rows: Picture = source[1:] + (source[:-1] - source[1:]) * rest_y
    moved: Picture = rows[:, 1:] + (rows[:, :-1] - rows[:, 1:]) * rest_x
    return moved


def halve(picture: Picture) -> Picture:
    """Mean of each 2 x 2 block; both sides must be even."""
    height, width = picture.shape
    small: Picture = picture.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    return small
