"""The median filter against scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import medfilt

from iblvideo_admin.tracking import filter as filtering


def reference(points: np.ndarray) -> np.ndarray:
    """What DeepLabCut's ``filterpredictions`` does with its window of 5."""
    expected = points.copy()
    for point in range(points.shape[1]):
        for column in (0, 1):
            expected[:, point, column] = medfilt(points[:, point, column], 5)
    return expected


def some_points(frames: int, points: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 50, (frames, points, 3))


@pytest.mark.parametrize("frames", range(5, 25))
def test_equals_scipy(frames: int) -> None:
    points = some_points(frames)
    expected = reference(points)
    assert filtering.median(points)
    np.testing.assert_array_equal(points, expected)


@pytest.mark.parametrize("frames", range(5))
def test_short_videos_are_left_alone(frames: int) -> None:
    points = some_points(frames)
    before = points.copy()
    assert not filtering.median(points)
    np.testing.assert_array_equal(points, before)


@given(st.integers(5, 60), st.integers(1, 20), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_blocks_leave_no_seam(frames: int, rows_at_once: int, points_count: int, seed: int) -> None:
    points = some_points(frames, points_count, seed)
    expected = reference(points)
    filtering.median(points, rows_at_once=rows_at_once)
    np.testing.assert_array_equal(points, expected)


def test_across_the_real_block_boundary() -> None:
    points = some_points(filtering.ROWS_AT_ONCE + 7, 1)
    expected = reference(points)
    filtering.median(points)
    np.testing.assert_array_equal(points, expected)


def test_the_ends_are_pulled_to_zero_as_in_deeplabcut() -> None:
    points = np.full((6, 1, 3), 10.0)
    points[:, 0, 0] = [10, 20, 30, 40, 50, 60]
    filtering.median(points)
    assert points[:, 0, 0].tolist() == [10, 20, 30, 40, 40, 40]
    assert (points[:, 0, 1:] == 10).all()


@given(st.integers(5, 40), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_float32_gives_the_numbers_of_float64(frames: int, seed: int) -> None:
    """A median is one of its numbers; also where numbers are equal, as a still mouse's are."""
    points = np.random.default_rng(seed).normal(0, 2, (frames, 2, 3)).round(1).astype(np.float32)
    expected = reference(points.astype(np.float64))
    filtering.median(points)
    np.testing.assert_array_equal(points.astype(np.float64), expected)
