"""What both drawn scenes share, and how a camera sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ..rigs import Camera
from .difficulty import SESSION_LOOK, Look
from .motion import Floats, Motion
from .painter import Canvas, Picture
from .texture import Grain, to_luma

MotionT = TypeVar("MotionT", bound=Motion)
Points = dict[str, Floats]


@dataclass(frozen=True)
class Style:
    """One drawing from a ``Look``: the values that stay the same during a video."""

    gain: float
    noise: float
    edge: float
    fur: float
    shift: Floats

    @classmethod
    def draw(cls, look: Look, rng: np.random.Generator) -> Style:
        """Values for one scene."""
        shift = np.array([look.shift.draw(rng), look.shift.draw(rng)])
        gain, noise, edge, fur = (span.draw(rng) for span in (look.gain, look.noise, look.edge, look.fur))
        return cls(gain, noise, edge, fur, shift)


class Scene(Generic[MotionT]):
    """A drawn scene of ``size`` (width, height) px, pictured at ``scale`` times that size."""

    size: ClassVar[tuple[int, int]]
    scale: float
    style: Style

    def motion(self, times: Floats) -> MotionT:
        """The scene's movement at ``times`` (n,) in seconds."""
        raise NotImplementedError

    def positions(self, motion: MotionT) -> Points:
        """Every point's (x, y) in scene px, (n, 2) for a series or (2,) for one state; nan where it is hidden."""
        raise NotImplementedError

    def paint(self, canvas: Canvas, state: MotionT) -> None:
        """Paint one state over all of ``canvas``."""
        raise NotImplementedError

    def picture(self, state: MotionT, window: tuple[int, int, int, int] | None = None) -> Picture:
        """Grey levels before light and noise, of a window (x0, y0, width, height) of the scaled picture."""
        x0, y0, width, height = window or (0, 0, *self.scaled_size)
        canvas = Canvas(width, height, x0, y0, self.scale)
        self.paint(canvas, state)
        return canvas.pixels

    @property
    def scaled_size(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        return round(self.size[0] * self.scale), round(self.size[1] * self.scale)


class View:
    """One camera's view of its scene: raw frames and where the points are on them."""

    def __init__(self, camera: Camera, seed: int, look: Look = SESSION_LOOK) -> None:
        from .body_scene import BodyScene
        from .side_scene import SideScene

        self.camera = camera
        self.seed = self.own_seed(camera.name, seed)
        scale = 1 / camera.upscaled
        self.scene: Scene[Any] = (
            BodyScene(self.seed, look, scale) if camera.name == "body" else SideScene(self.seed, look, scale)
        )

    @cached_property
    def _grain(self) -> Grain:
        return Grain(self.seed, self.camera.width, self.camera.height, self.scene.style.noise)

    @staticmethod
    def own_seed(camera: str, seed: int) -> int:
        """The seed of one camera's view: each camera of a session sees a take of its own."""
        return 3 * seed + ("left", "right", "body").index(camera)

    def motion(self, times: Floats) -> Any:
        """The scene's movement at ``times`` (n,) in seconds."""
        return self.scene.motion(times)

    def truth(self, motion: Any) -> Points:
        """Every point's true place (n, 2) in raw pixels of this camera; nan where it is hidden."""
        found = self.scene.positions(motion)
        return {name: scene_to_raw(self.camera, found[name]) for name in self.camera.points}

    def frame(self, motion: Any, index: int) -> npt.NDArray[np.uint8]:
        """Frame ``index`` of ``motion`` as limited range luma (height, width)."""
        state = motion.at(index)
        picture = self.scene.picture(state)
        if self.camera.mirrored:
            picture = np.ascontiguousarray(picture[:, ::-1])
        return to_luma(picture, self.scene.style.gain * float(state.light), self._grain.frame(index))


def scene_to_raw(camera: Camera, positions: Floats) -> Floats:
    """Scene coordinates (..., 2) as the camera's raw pixels: pixel centres at integers in both."""
    raw = (positions + 0.5) / camera.upscaled - 0.5
    if camera.mirrored:
        raw = np.stack([camera.width - 1 - raw[..., 0], raw[..., 1]], axis=-1)
    return raw


def raw_to_network(camera: Camera, positions: Floats) -> Floats:
    """The camera's raw pixels (..., 2) as pixels of the networks' frame (mirrored and upscaled), exactly."""
    if camera.mirrored:
        positions = np.stack([camera.width - 1 - positions[..., 0], positions[..., 1]], axis=-1)
    return (positions + 0.5) * camera.upscaled - 0.5


def table_columns(points: Mapping[str, Floats]) -> dict[str, Floats]:
    """Points (n, 2) as columns ``{point}_x`` and ``{point}_y`` of shape (n,)."""
    return {f"{name}_{axis}": xy[:, i] for name, xy in points.items() for i, axis in enumerate("xy")}
