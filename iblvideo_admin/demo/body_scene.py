"""The body view: the mouse's back from above and behind, and the start of its tail."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from . import painter
from .difficulty import SESSION_LOOK, Look
from .motion import BodyMotion, Floats, body_motion
from .painter import Canvas, Layer
from .scenes import Points, Scene, Style
from .texture import field, fur

_TAIL_START = np.array([430.0, 300.0])
_HIP = np.array([352.0, 268.0])
_TAIL_DIRECTION, _TAIL_STEP, _TAIL_STEPS = 0.45, 22.0, 9
_FUR = 132.0


class BodyScene(Scene[BodyMotion]):
    """The scene of the body camera."""

    size = (640, 512)

    def __init__(self, seed: int, look: Look = SESSION_LOOK, scale: float = 1.0) -> None:
        if scale != 1:
            raise ValueError(f"the body scene is drawn at scale 1 only, not {scale}")
        self.seed, self.scale = seed, scale
        self.style = Style.draw(look, np.random.default_rng([seed, 7]))

    @cached_property
    def _layers(self) -> tuple[Layer, Layer]:
        """Background and trunk."""
        rng = np.random.default_rng([self.seed, 8])
        return _background(rng), _trunk(rng, self.style)

    def motion(self, times: Floats) -> BodyMotion:
        """The scene's movement at ``times`` (n,) in seconds."""
        return body_motion(self.seed, times)

    def positions(self, motion: BodyMotion) -> Points:
        """The tail's start (x, y) in scene px, (n, 2) or (2,)."""
        return {"tail_start": self.style.shift + _TAIL_START + motion.trunk + motion.tail_start}

    def paint(self, canvas: Canvas, state: BodyMotion) -> None:
        """Paint one state over all of ``canvas``."""
        edge, trunk = self.style.edge, self.style.shift + state.trunk
        start = self.positions(state)["tail_start"]
        background, back = self._layers
        background.stamp(canvas, 0.0, 0.0)
        angles = _TAIL_DIRECTION + state.tail_bend * np.arange(_TAIL_STEPS) / _TAIL_STEPS
        steps = _TAIL_STEP * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        tail = np.concatenate([start[None], start + np.cumsum(steps, axis=0)])
        painter.chain(canvas, tail, np.linspace(9.0, 3.0, len(tail)), 196.0, edge, shade=30.0)
        back.stamp(canvas, *trunk)
        hip, end = _HIP + trunk, start - (10.0, 6.0)
        painter.cone(canvas, (hip[0], hip[1]), (end[0], end[1]), 66.0, 16.0, _FUR, edge + 2, shade=26.0, fade=0.7)
        painter.ellipse(canvas, (start[0], start[1]), (12.0, 12.0), 26.0, edge)


def _background(rng: np.random.Generator) -> Layer:
    width, height = 642, 514
    levels = 76 + 4 * field(rng, width, height, 50, 50, 0)
    levels += 12 * np.linspace(1, 0, height, dtype=np.float32)[:, None]
    return Layer.from_levels(levels, np.ones_like(levels), -2, -2)


def _trunk(rng: np.random.Generator, style: Style) -> Layer:
    """Back, shoulders and the head with its ears, without the rump that reaches to the tail."""
    width, height, x0, y0 = 560, 500, -100, -40
    x = np.arange(x0, x0 + width, dtype=np.float32)[None, :]
    y = np.arange(y0, y0 + height, dtype=np.float32)[:, None]
    back = painter.ellipse_distance(x, y, (280.0, 240.0), (150.0, 100.0), 0.4)
    neck = painter.ellipse_distance(x, y, (150.0, 165.0), (110.0, 78.0), 0.5)
    head = painter.cone_distance(x, y, (92.0, 122.0), (10.0, 62.0), 62.0, 20.0)
    distance = painter.smooth_union(painter.smooth_union(back, neck, 40.0), head, 20.0)
    ears = [painter.ellipse_distance(x, y, place, (34.0, 27.0), 0.5) for place in ((132.0, 70.0), (62.0, 176.0))]
    coat = _FUR * (0.70 + 0.30 * np.sqrt(np.clip(-distance / 70, 0, 1)))
    coat += style.fur * fur(rng, width, height, 0.5) + 10 * np.clip((240 - y) / 160, -1, 1)
    levels, alpha = coat, painter.cover(distance, 4.0)
    for ear in ears:
        part = painter.cover(ear, 2.5)
        levels, alpha = levels + part * (168 + 1.2 * ear - levels), np.maximum(alpha, part)
    return Layer.from_levels(levels, alpha, x0, y0)
