"""The side view: a head-fixed mouse that looks to the left, behind a lick spout, paws over a wheel."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from . import painter
from .difficulty import SESSION_LOOK, Look
from .motion import Floats, SideMotion, side_motion
from .painter import Canvas, Layer, Picture
from .scenes import Points, Scene, Style
from .texture import field, fur

# places at rest, in scene pixels
_NOSE, _EYE, _MOUTH = np.array([340.0, 560.0]), np.array([640.0, 330.0]), np.array([424.0, 638.0])
_TUBE_TOP, _TUBE_BOTTOM = np.array([330.0, 672.0]), np.array([318.0, 728.0])
_PAW_L, _PAW_R = np.array([470.0, 850.0]), np.array([690.0, 880.0])
_SHOULDER_L, _SHOULDER_R = np.array([620.0, 770.0]), np.array([800.0, 790.0])

_TONGUE_HALF_WIDTH = 13.0
_TONGUE_INSET = 4.0  # the tongue's ends are marked this far inside its two corners
_TONGUE_ROOT = 34.0  # its length inside the mouth, behind the lips
_TONGUE_DIRECTION = np.pi - 0.25

_BACK, _BODY, _HEAD = 80.0, 114.0, 142.0


def _pair(place: Floats) -> tuple[float, float]:
    return float(place[0]), float(place[1])


class SideScene(Scene[SideMotion]):
    """The scene of the left camera, and of the right one at half the size (before its mirroring)."""

    size = (1280, 1024)

    def __init__(self, seed: int, look: Look = SESSION_LOOK, scale: float = 1.0) -> None:
        if scale not in (1, 0.5):
            raise ValueError(f"the side scene is drawn at scale 1 or 0.5, not {scale}")
        self.seed, self.scale = seed, scale
        self.style = Style.draw(look, np.random.default_rng([seed, 5]))

    @cached_property
    def _layers(self) -> list[Layer]:
        """Background, body and head, at the scene's scale."""
        rng = np.random.default_rng([self.seed, 6])
        layers = [_background(rng), _body(rng, self.style), _head(rng, self.style)]
        return layers if self.scale == 1 else [layer.halved() for layer in layers]

    def motion(self, times: Floats) -> SideMotion:
        """The scene's movement at ``times`` (n,) in seconds."""
        return side_motion(self.seed, times)

    def positions(self, motion: SideMotion) -> Points:
        """Every point's (x, y) in scene px, (n, 2) or (2,); the tongue's ends are nan while it is inside."""
        shift = self.style.shift
        eye = shift + _EYE + motion.head + motion.gaze
        width, height = motion.pupil * motion.aspect, motion.pupil / motion.aspect
        zero = np.zeros_like(width)
        tip, along, across = self._tongue(motion)
        inner = tip - _TONGUE_INSET * along
        side = (_TONGUE_HALF_WIDTH - _TONGUE_INSET) * across
        hidden = np.where(np.asarray(motion.tongue) > 0, 0.0, np.nan)[..., None]
        return {
            "nose_tip": shift + _NOSE + motion.head + motion.nose,
            "pupil_top_r": eye - np.stack([zero, height], axis=-1),
            "pupil_right_r": eye + np.stack([width, zero], axis=-1),
            "pupil_bottom_r": eye + np.stack([zero, height], axis=-1),
            "pupil_left_r": eye - np.stack([width, zero], axis=-1),
            "paw_l": shift + _PAW_L + motion.paw_l,
            "paw_r": shift + _PAW_R + motion.paw_r,
            "tube_top": shift + _TUBE_TOP + motion.spout,
            "tube_bottom": shift + _TUBE_BOTTOM + motion.spout,
            "tongue_end_l": inner + side + hidden,
            "tongue_end_r": inner - side + hidden,
        }

    def _tongue(self, motion: SideMotion) -> tuple[Floats, Floats, Floats]:
        """The tongue's tip and its unit vectors along and across, (n, 2) or (2,)."""
        angle = np.asarray(_TONGUE_DIRECTION + motion.tongue_angle)
        along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        across = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
        tip = self.style.shift + _MOUTH + motion.head + np.asarray(motion.tongue)[..., None] * along
        return tip, along, across

    def paint(self, canvas: Canvas, state: SideMotion) -> None:
        """Paint one state over all of ``canvas``."""
        edge, shift = self.style.edge, self.style.shift
        places = self.positions(state)
        background, trunk, skull = self._layers
        background.stamp(canvas, 0.0, 0.0)
        trunk.stamp(canvas, *(shift + state.body))
        if state.tongue > 0:
            self._paint_tongue(canvas, state)
        skull.stamp(canvas, *(shift + state.head))
        self._paint_snout(canvas, shift + state.head, places["nose_tip"])
        self._paint_eye(canvas, shift + _EYE + state.head, state)
        top, bottom = _pair(places["tube_top"]), _pair(places["tube_bottom"])
        painter.cone(canvas, bottom, (bottom[0] - 360, bottom[1] + 372), 8.0, 13.0, 150.0, edge, shade=40.0)
        painter.cone(canvas, top, bottom, 8.0, 9.0, 205.0, edge, shade=30.0)
        painter.ellipse(canvas, top, (9.0, 6.0), 246.0, edge)
        painter.ellipse(canvas, bottom, (10.0, 10.0), 22.0, edge)
        body = shift + state.body
        self._paint_arm(canvas, _SHOULDER_L + body, places["paw_l"], 0.8, (126.0, 180.0))
        self._paint_arm(canvas, _SHOULDER_R + body, places["paw_r"], 1.0, (140.0, 232.0))

    def _paint_tongue(self, canvas: Canvas, state: SideMotion) -> None:
        tip, along, _ = self._tongue(state)
        length, angle = float(state.tongue), float(_TONGUE_DIRECTION + state.tongue_angle)
        length += _TONGUE_ROOT
        middle, half = tip - along * length / 2, (length / 2, _TONGUE_HALF_WIDTH)
        painter.box(canvas, _pair(middle), half, angle, 6.0, 208.0, self.style.edge)
        painter.cone(canvas, _pair(middle), _pair(tip - 9 * along), 1.6, 1.0, 160.0, self.style.edge)

    def _paint_snout(self, canvas: Canvas, head: Floats, nose: Floats) -> None:
        edge = self.style.edge
        root, end = head + (470.0, 552.0), nose + (26.0, 0.0)
        painter.cone(canvas, _pair(root), _pair(end), 60.0, 25.0, _HEAD, edge, shade=34.0, fade=0.6)
        painter.cone(canvas, _pair(head + (420.0, 616.0)), _pair(head + (505.0, 622.0)), 2.0, 1.0, 66.0, edge)
        painter.ellipse(canvas, _pair(nose), (13.0, 16.0), 24.0, edge, angle=0.3)
        painter.ellipse(canvas, _pair(nose + (-5.0, -7.0)), (4.0, 2.6), 110.0, edge, angle=-0.6)

    def _paint_eye(self, canvas: Canvas, eye: Floats, state: SideMotion) -> None:
        edge = self.style.edge
        painter.ellipse(canvas, _pair(eye), (52.0, 45.0), _HEAD + 26, edge, angle=-0.15, shade=18.0)
        painter.ellipse(canvas, _pair(eye), (44.0, 38.0), 47.0, edge, angle=-0.15, shade=6.0)
        radii = (float(state.pupil * state.aspect), float(state.pupil / state.aspect))
        painter.ellipse(canvas, _pair(eye + state.gaze), radii, 7.0, edge)
        painter.ellipse(canvas, _pair(eye + (19.0, -22.0)), (5.0, 4.0), 220.0, edge)

    def _paint_arm(
        self, canvas: Canvas, shoulder: Floats, paw: Floats, size: float, levels: tuple[float, float]
    ) -> None:
        edge, (arm, hand) = self.style.edge, levels
        painter.cone(
            canvas,
            _pair(shoulder),
            _pair(paw + (12 * size, -10 * size)),
            44 * size,
            22 * size,
            arm,
            edge,
            34.0,
            0.7,
        )
        for angle in (2.1, 2.6, 3.1, 3.6):
            reach = paw + 46 * size * np.array([np.cos(angle), 0.8 * np.sin(angle)])
            painter.cone(canvas, _pair(paw), _pair(reach), 11 * size, 7 * size, hand - 12, edge, shade=24.0)
        painter.ellipse(canvas, _pair(paw), (36 * size, 29 * size), hand, edge, shade=22.0)


def _grid(x0: int, y0: int, width: int, height: int) -> tuple[Picture, Picture]:
    x = np.arange(x0, x0 + width, dtype=np.float32)[None, :]
    return x, np.arange(y0, y0 + height, dtype=np.float32)[:, None]


def _background(rng: np.random.Generator) -> Layer:
    """The wall behind, and the wheel below the paws; one pixel larger than the scene at the upper left."""
    width, height = 1282, 1026
    x, y = _grid(-2, -2, width, height)
    levels = _BACK + 10 * (1 - y / 1024) + 5 * (x / 1280) + 4 * field(rng, width, height, 70, 70, 0)
    distance = painter.ellipse_distance(x, y, (600.0, 1180.0), (330.0, 330.0))
    ribs = 7 * np.sin(70 * np.arctan2(y - 1180, x - 600)) * (distance > -60)
    wheel = painter.cover(distance, 2.5)
    levels += wheel * (58 + ribs - levels)
    return Layer.from_levels(levels, np.ones_like(levels), -2, -2)


def _coat(distance: Picture, level: float, hair: Picture, y: Picture, middle: float) -> npt.NDArray[Any]:
    """Fur lit from above: levels for a shape of signed ``distance`` whose middle height is ``middle``."""
    depth = np.clip(-distance / 90, 0, 1)
    round_ = level * (0.70 + 0.30 * np.sqrt(depth))
    return round_ + 14 * np.clip((middle - y) / 260, -1, 1) + hair


def _body(rng: np.random.Generator, style: Style) -> Layer:
    x0, y0, width, height = 440, 380, 940, 720
    x, y = _grid(x0, y0, width, height)
    trunk = painter.ellipse_distance(x, y, (960.0, 720.0), (350.0, 285.0), 0.15)
    chest = painter.ellipse_distance(x, y, (720.0, 660.0), (200.0, 190.0), 0.3)
    distance = painter.smooth_union(trunk, chest, 60.0)
    levels = _coat(distance, _BODY, style.fur * fur(rng, width, height, 0.35), y, 680.0)
    return Layer.from_levels(levels, painter.cover(distance, 5.0), x0, y0)


def _head(rng: np.random.Generator, style: Style) -> Layer:
    x0, y0, width, height = 340, -60, 700, 840
    x, y = _grid(x0, y0, width, height)
    skull = painter.ellipse_distance(x, y, (700.0, 405.0), (235.0, 195.0), -0.35)
    cheek = painter.ellipse_distance(x, y, (620.0, 520.0), (165.0, 135.0), 0.1)
    snout = painter.cone_distance(x, y, (590.0, 495.0), (430.0, 552.0), 120.0, 60.0)
    jaw = painter.cone_distance(x, y, (590.0, 600.0), (446.0, 640.0), 64.0, 22.0)
    distance = painter.smooth_union(painter.smooth_union(skull, cheek, 60.0), snout, 50.0)
    distance = painter.smooth_union(distance, jaw, 12.0)
    levels = _coat(distance, _HEAD, style.fur * fur(rng, width, height, -0.3), y, 420.0)
    alpha = painter.cover(distance, 4.0)

    def over(shape: Picture, level: npt.NDArray[Any] | float, edge: float, strength: float = 1.0) -> None:
        nonlocal levels, alpha
        part = strength * painter.cover(shape, edge)
        joint = part + alpha * (1 - part)
        levels = (level * part + levels * alpha * (1 - part)) / np.maximum(joint, 1e-6)
        alpha = joint

    ear = painter.ellipse_distance(x, y, (880.0, 230.0), (82.0, 102.0), 0.35)
    over(ear, 140.0 + 0.6 * style.fur * fur(rng, width, height, 1.2) + 22 * np.clip(ear / 80, -1, 0), 4.0)
    over(painter.ellipse_distance(x, y, (872.0, 244.0), (52.0, 72.0), 0.35), 96.0, 26.0)
    over(painter.box_distance(x, y, (722.0, 214.0), (78.0, 17.0), -0.3, 6.0), 178.0, 2.5)
    over(painter.cone_distance(x, y, (735.0, 205.0), (775.0, -120.0), 13.0, 15.0), 158.0, 2.5)
    for angle in (1.25, 1.55, 1.85, 2.15, 2.4):
        end = (462.0 + 150 * float(np.cos(angle)), 588.0 + 150 * float(np.sin(angle)))
        over(painter.cone_distance(x, y, (462.0, 582.0), end, 1.4, 0.5), 178.0, 1.6, 0.6)
    return Layer.from_levels(levels, alpha, x0, y0)
