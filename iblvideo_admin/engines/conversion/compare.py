"""Whether a converted network gives what TensorFlow 1.13.1 gives: on the same pictures, in the same batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from iblvideo_admin.engines.base import Engine

LARGEST_PX, LARGEST_LIKELIHOOD = 0.01, 1e-3
# Where many cells of a picture are equally likely, none (near 0) or all of them (at 1), the last bit decides which is
# the best: such a point may jump from one to the other, and says nothing about the network.
JUDGED = (0.01, 0.9999)
SEED = 0


@dataclass(frozen=True)
class Comparison:
    """The largest differences of one network's points, px and likelihood; how many points' places were judged."""

    px: float
    likelihood: float
    judged: int
    pictures: int

    @property
    def is_equal(self) -> bool:
        """Whether the differences are single precision's; not where no point could be judged, or a number is none."""
        return self.judged > 0 and self.px <= LARGEST_PX and self.likelihood <= LARGEST_LIKELIHOOD

    def as_data(self) -> dict[str, float | int]:
        """As plain values, for the cache and the provenance."""
        return dict(vars(self))


def compare(network: str, ours: Engine, reference: Engine, sets: Mapping[str, np.ndarray]) -> Comparison:
    """Both engines' points of every set of pictures, (N, height, width) uint8.  Raises what the engines raise."""
    px, likelihood, judged = 0.0, 0.0, 0
    for pictures in sets.values():
        wanted, found = (engine.submit(network, pictures).result() for engine in (reference, ours))
        counts = (wanted[..., 2] >= JUDGED[0]) & (wanted[..., 2] <= JUDGED[1])
        away = np.abs(found - wanted)
        # np.max passes on what is no number, and no comparison with a limit is true of it
        likelihood = float(np.max([likelihood, away[..., 2].max()]))
        px = float(np.max([px, away[counts][:, :2].max(initial=0.0)]))
        judged += int(counts.sum())
    return Comparison(px, likelihood, judged, sum(map(len, sets.values())))


def noise(pictures: np.ndarray) -> np.ndarray:
    """Random ones of the same number and size: white noise, half of it coarse."""
    random = np.random.default_rng(SEED)
    count, height, width = pictures.shape
    fine = random.integers(0, 256, pictures.shape, np.uint8)
    coarse = random.integers(0, 256, (count, height // 8 + 1, width // 8 + 1), np.uint8)
    fine[::2] = coarse.repeat(8, 1).repeat(8, 2)[::2, :height, :width]
    return fine
