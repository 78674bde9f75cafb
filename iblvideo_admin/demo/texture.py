"""Random fields: fur, uneven background, and the sensor's noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .painter import Picture


def field(rng: np.random.Generator, width: int, height: int, along: float, across: float, angle: float) -> Picture:
    """A smooth random field (height, width) of mean 0 and standard deviation 1.

    ``along`` and ``across`` are its correlation lengths in px, ``angle`` the direction of ``along`` in radians.
    """
    fx, fy = np.fft.rfftfreq(width)[None, :], np.fft.fftfreq(height)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    u, v = fx * cos + fy * sin, fy * cos - fx * sin
    passed = np.exp(-2 * np.pi**2 * ((u * along) ** 2 + (v * across) ** 2))
    smooth = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width))) * passed, (height, width))
    smooth -= smooth.mean()
    even: Picture = (smooth / smooth.std()).astype(np.float32)
    return even


def fur(rng: np.random.Generator, width: int, height: int, angle: float) -> Picture:
    """Short streaks on broader patches, standard deviation 1, shape (height, width)."""
    streaks = field(rng, width, height, 9.0, 1.8, angle)
    patches = field(rng, width, height, 24.0, 14.0, angle)
    mixed = 0.8 * streaks + 0.6 * patches
    even: Picture = (mixed / mixed.std()).astype(np.float32)
    return even


class Grain:
    """Sensor noise: one prepared field, of which each frame takes another part."""

    _SLACK = 311

    def __init__(self, seed: int, width: int, height: int, deviation: float) -> None:
        rng = np.random.default_rng([seed, 3])
        shape = (height + self._SLACK, width + self._SLACK)
        self._field = rng.standard_normal(shape, np.float32) * np.float32(deviation)
        self._seed, self._size = seed, (width, height)

    def frame(self, index: int) -> Picture:
        """The noise (height, width) of one frame, in levels."""
        x, y = np.random.default_rng([self._seed, 4, index]).integers(0, self._SLACK, 2)
        width, height = self._size
        return self._field[y : y + height, x : x + width]


def to_luma(picture: Picture, gain: float, grain: Picture) -> npt.NDArray[np.uint8]:
    """Full range levels (h, w) as the video's limited range luma, 16 to 235, with noise; ``picture`` is spent."""
    picture *= np.float32(gain)
    picture += grain
    picture *= np.float32(219 / 255)
    picture += np.float32(16.5)
    np.clip(picture, 16, 235, out=picture)
    return picture.astype(np.uint8)
