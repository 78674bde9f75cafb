"""How far two traces of one video lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SURE = 0.9
# Median and 95th percentile in raw pixels that the first prototype had, from re-encoding and rounded offsets: what more
# there is would be a fault of ours.
ALLOWED = {
    "nose_tip": (1.1, 1.8),
    "pupil_top_r": (0.36, 0.9),
    "pupil_right_r": (0.36, 0.9),
    "pupil_bottom_r": (0.36, 0.9),
    "pupil_left_r": (0.36, 0.9),
    "paw_l": (9.0, 20.0),
    "paw_r": (9.0, 20.0),
    "tube_top": (0.9, 1.8),
    "tube_bottom": (0.9, 1.8),
    "tongue_end_l": (1.8, 10.0),
    "tongue_end_r": (1.8, 10.0),
    "tail_start": (1.4, 3.1),
}


@dataclass(frozen=True)
class Difference:
    """Of one point: median and 95th percentile in raw pixels over the frames in which both traces are sure."""

    median: float
    p95: float
    frames: int

    def __str__(self) -> str:
        return f"{self.median:.2f} / {self.p95:.2f}" if self.frames else "never sure"

    def within(self, allowed: tuple[float, float]) -> bool:
        """Whether it is no larger (nothing to compare is)."""
        return self.frames == 0 or (self.median <= allowed[0] and self.p95 <= allowed[1])


def differences(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, Difference]:
    """By point, of traces (frames, 3) of x, y, likelihood."""
    found = {}
    for name, points in one.items():
        sure = (points[:, 2] > SURE) & (other[name][:, 2] > SURE)
        apart = np.hypot(*(points[sure, :2] - other[name][sure, :2]).T)
        median, p95 = np.percentile(apart, [50, 95]) if len(apart) else (np.nan, np.nan)
        found[name] = Difference(float(median), float(p95), len(apart))
    return found
