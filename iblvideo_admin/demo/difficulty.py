"""How hard the demo is: all amplitudes, light, noise, blur, compression and seeds, in one place.

Lengths are in pixels of the scene: the left camera's frame (1280 x 1024) for the side view, the body camera's
frame (640 x 512) for the body view.  Grey levels are full range, 0 to 255.  The networks in ``weights`` were
trained on exactly these values: who changes one trains them again (``training/README.md``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """A range that a value is drawn from, once per scene."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One value, uniform in the range."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Look:
    """How a camera pictures the scene.

    ``gain`` multiplies all levels; ``noise`` is the sensor noise's standard deviation in levels; ``edge`` the
    width in scene pixels over which an outline fades; ``fur`` the coat's standard deviation in levels;
    ``shift`` moves the whole scene in the picture, as if the camera had been mounted elsewhere (pixels).
    """

    gain: Span
    noise: Span
    edge: Span
    fur: Span
    shift: Span


SESSION_LOOK = Look(Span(0.92, 1.08), Span(2.0, 3.5), Span(1.6, 2.4), Span(4.0, 6.0), Span(-8.0, 8.0))
TRAINING_LOOK = Look(Span(0.82, 1.18), Span(1.0, 4.5), Span(1.2, 3.0), Span(3.0, 7.5), Span(-14.0, 14.0))


@dataclass(frozen=True)
class SideAmplitudes:
    """Largest departures from rest in the side view, (x, y) in pixels unless said otherwise."""

    head: tuple[float, float] = (14.0, 8.0)
    body: tuple[float, float] = (4.0, 7.0)
    nose: tuple[float, float] = (8.0, 8.0)
    gaze: tuple[float, float] = (6.0, 4.0)
    pupil: tuple[float, float] = (10.0, 16.0)  # smallest and largest radius
    pupil_aspect: float = 0.08  # relative
    spout: tuple[float, float] = (12.0, 10.0)
    paw: tuple[float, float] = (95.0, 54.0)
    tongue_length: tuple[float, float] = (34.0, 66.0)  # mouth to tip when just out, and at most
    tongue_angle: float = 0.35  # radians about its rest direction
    tongue_threshold: float = 0.35  # share of a lick's swing below which the tongue is inside
    # A mouse licks six to eight times a second, faster than the median over five frames of a 60 Hz camera can follow:
    # the table would lack what the network saw. So ours takes its time.
    lick_rate: float = 2.0  # licks per second in a bout
    light: float = 0.05  # relative, slow


@dataclass(frozen=True)
class BodyAmplitudes:
    """Largest departures from rest in the body view, (x, y) in pixels unless said otherwise."""

    trunk: tuple[float, float] = (10.0, 8.0)
    tail_start: tuple[float, float] = (18.0, 16.0)  # beside the trunk's movement
    tail_bend: float = 0.9  # radians from the tail's start to its end
    light: float = 0.05


@dataclass(frozen=True)
class Compression:
    """x264's settings: ``crf`` of the session's videos, and the range that training clips are drawn from."""

    crf: int = 21
    preset: str = "veryfast"
    training_crf: tuple[int, int] = (18, 27)


SIDE = SideAmplitudes()
BODY = BodyAmplitudes()
COMPRESSION = Compression()

DEMO_SEED = 1
TRAINING_SEEDS = tuple(range(1000, 1012))
JUDGING_SEEDS = (2000, 2001, 2002)
