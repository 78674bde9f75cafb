"""Two engines' points: equal within single precision, or not."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from iblvideo_admin.engines.conversion import compare

GOOD = np.array([[[10.0, 20.0, 0.9], [30.0, 40.0, 0.5]]], np.float32)


class Fixed:
    """An engine that knows one answer."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        future: Future[np.ndarray] = Future()
        future.set_result(self.points)
        return future


def compared(ours: np.ndarray, reference: np.ndarray = GOOD) -> compare.Comparison:
    return compare.compare("eye", Fixed(ours), Fixed(reference), {"one": np.zeros((1, 8, 8), np.uint8)})  # type: ignore[arg-type]


def changed(point: int, column: int, by: float, start: np.ndarray = GOOD) -> np.ndarray:
    other = start.copy()
    other[0, point, column] += by
    return other


def test_equal_ones_are_equal() -> None:
    found = compared(changed(0, 0, 0.009))
    assert found.is_equal and found.judged == 2 and found.pictures == 1
    assert found.as_data()["px"] == pytest.approx(0.009, rel=0.01)


@pytest.mark.parametrize(
    ("point", "column", "by"), [(0, 0, 0.011), (1, 1, -0.011), (0, 2, 0.0011), (0, 0, np.nan), (1, 2, np.nan)]
)
def test_other_ones_are_not(point: int, column: int, by: float) -> None:
    assert not compared(changed(point, column, by)).is_equal


@pytest.mark.parametrize("likelihood", [1.0, 0.001])
def test_a_tie_may_jump(likelihood: float) -> None:
    """Where all cells are certain, or none is, the place says nothing; the likelihood does."""
    tied = GOOD.copy()
    tied[0, 0, 2] = likelihood
    found = compared(changed(0, 0, 8.0, tied), tied)
    assert found.is_equal and found.judged == 1
    assert not compared(changed(0, 2, -0.01, tied), tied).is_equal


def test_where_nothing_can_be_judged_nothing_is_proven() -> None:
    unsure = GOOD * np.array([1, 1, 0], np.float32)
    assert not compared(unsure, unsure).is_equal


def test_noise_is_the_same_each_time_and_of_the_same_size() -> None:
    like = np.zeros((3, 50, 61), np.uint8)
    first = compare.noise(like)
    assert first.shape == like.shape and first.dtype == np.uint8 and first.std() > 50
    np.testing.assert_array_equal(first, compare.noise(like))
