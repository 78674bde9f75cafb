"""How the demo's mouse and spout move: functions of time, so that a seed gives the same path at any rate."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import difficulty

if TYPE_CHECKING:
    from typing_extensions import Self

Floats = npt.NDArray[np.float64]
_SHARES = (0.75, 0.16, 0.09)


class Motion:
    """A set of time series; every field has one entry (a number or an (x, y) pair) per time."""

    def at(self, index: int) -> Self:
        """The state at one time: the same fields with the time axis taken away."""
        state = {field.name: getattr(self, field.name)[index] for field in fields(self)}  # type: ignore[arg-type]
        return type(self)(**state)


@dataclass(frozen=True)
class SideMotion(Motion):
    """The side view's state; arrays of shape (n,) or (n, 2), in scene pixels unless said otherwise.

    ``head``, ``body``, ``spout``, ``paw_l``, ``paw_r`` are departures from rest, ``nose`` and ``gaze`` add to the
    head's.  ``pupil`` is the radius, ``aspect`` its width over height (root).  ``tongue`` is the length from the
    mouth to the tip, 0 while it is inside; ``tongue_angle`` in radians.  ``light`` is a factor about 1.
    """

    head: Any
    body: Any
    nose: Any
    gaze: Any
    pupil: Any
    aspect: Any
    spout: Any
    paw_l: Any
    paw_r: Any
    tongue: Any
    tongue_angle: Any
    light: Any


@dataclass(frozen=True)
class BodyMotion(Motion):
    """The body view's state: departures from rest in pixels, the tail's bend in radians, light as a factor."""

    trunk: Any
    tail_start: Any
    tail_bend: Any
    light: Any


def wave(rng: np.random.Generator, times: Floats, amplitude: float, rates: tuple[float, ...]) -> Floats:
    """A restless curve of shape (n,): three sines of about ``rates`` Hz, never beyond +-``amplitude``."""
    total = np.zeros(len(times))
    for share, rate in zip(_SHARES, rates, strict=True):
        phase, jitter = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.15)
        total += share * np.sin(2 * np.pi * rate * jitter * times + phase)
    return amplitude * total


def _path(rng: np.random.Generator, times: Floats, amplitude: tuple[float, float], rates: tuple[float, ...]) -> Floats:
    """Two independent waves as (n, 2); the vertical one a little faster."""
    across = wave(rng, times, amplitude[0], rates)
    down = wave(rng, times, amplitude[1], tuple(1.23 * rate for rate in rates))
    return np.stack([across, down], axis=1)


def _licks(rng: np.random.Generator, times: Floats) -> Floats:
    """The tongue's length (n,): bouts of licks, about half of the time, and rests in which it stays inside."""
    side = difficulty.SIDE
    bout = np.sin(2 * np.pi * 0.31 * times + rng.uniform(0, 2 * np.pi))
    bout += 0.7 * np.sin(2 * np.pi * 0.083 * times + rng.uniform(0, 2 * np.pi))
    swing = np.sin(2 * np.pi * side.lick_rate * times + rng.uniform(0, 2 * np.pi))
    reach = 0.85 + wave(rng, times, 0.15, (0.9, 1.7, 2.9))
    short, long = side.tongue_length
    out = np.clip((swing - side.tongue_threshold) / (1 - side.tongue_threshold), 0, 1)
    length = short + (long - short) * out * reach
    return np.where((bout > -0.15) & (swing > side.tongue_threshold), length, 0.0)


def side_motion(seed: int, times: Floats) -> SideMotion:
    """The side view's movement for ``seed`` at ``times`` (n,) in seconds."""
    side, rng = difficulty.SIDE, np.random.default_rng([seed, 1])
    small, large = side.pupil
    middle = (small + large) / 2
    return SideMotion(
        head=_path(rng, times, side.head, (0.33, 0.81, 1.7)),
        body=_path(rng, times, side.body, (2.6, 0.4, 1.1)),
        nose=_path(rng, times, side.nose, (0.9, 2.3, 5.1)),
        gaze=_path(rng, times, side.gaze, (0.27, 0.7, 1.3)),
        pupil=middle + wave(rng, times, large - middle, (0.17, 0.41, 0.9)),
        aspect=1 + wave(rng, times, side.pupil_aspect, (0.2, 0.5, 0.8)),
        spout=_path(rng, times, side.spout, (0.37, 0.23, 0.9)),
        paw_l=_path(rng, times, side.paw, (0.45, 1.1, 2.2)),
        paw_r=_path(rng, times, side.paw, (0.39, 1.3, 2.0)),
        tongue=_licks(rng, times),
        tongue_angle=wave(rng, times, side.tongue_angle, (0.9, 1.9, 0.4)),
        light=1 + wave(rng, times, side.light, (0.05, 0.11, 0.3)),
    )


def body_motion(seed: int, times: Floats) -> BodyMotion:
    """The body view's movement for ``seed`` at ``times`` (n,) in seconds."""
    body, rng = difficulty.BODY, np.random.default_rng([seed, 2])
    return BodyMotion(
        trunk=_path(rng, times, body.trunk, (0.35, 0.9, 2.4)),
        tail_start=_path(rng, times, body.tail_start, (0.4, 0.8, 1.6)),
        tail_bend=wave(rng, times, body.tail_bend, (0.5, 1.2, 1.9)),
        light=1 + wave(rng, times, body.light, (0.05, 0.11, 0.3)),
    )
