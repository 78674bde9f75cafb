"""The drawn scenes: points lie where the truth says, inside their windows, and move enough to be worth tracking."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblvideo_admin.demo import difficulty
from iblvideo_admin.demo.motion import side_motion
from iblvideo_admin.demo.scenes import View, raw_to_network, scene_to_raw
from iblvideo_admin.rigs import CAMERAS, NETWORKS

MARGIN = 6  # px that every point keeps from its window's border
LONG = np.arange(0, 60, 1 / 30)
SEEDS = (difficulty.DEMO_SEED, *difficulty.JUDGING_SEEDS)


@cache
def demo_view(camera: str) -> View:
    return View(CAMERAS[camera], difficulty.DEMO_SEED)


@pytest.fixture(scope="module", params=["left", "right", "body"])
def view(request: pytest.FixtureRequest) -> View:
    return demo_view(request.param)


@pytest.fixture(scope="module", params=["left", "right"])
def side_view(request: pytest.FixtureRequest) -> View:
    return demo_view(request.param)


def levels(luma: npt.NDArray[np.uint8], place: npt.NDArray[np.float64], reach: int) -> npt.NDArray[np.float64]:
    """The square of +-``reach`` px around the pixel nearest to a place."""
    x, y = np.round(place).astype(int)
    return luma[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(float)


def centroid(
    luma: npt.NDArray[np.uint8], place: npt.NDArray[np.float64], reach: int, threshold: float
) -> npt.NDArray[np.float64]:
    """Centre of what is darker than ``threshold`` near a place, weighted by how much darker it is."""
    patch = np.clip(threshold - levels(luma, place, reach), 0, None)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    offset = np.array([(patch * x).sum(), (patch * y).sum()]) / patch.sum()
    return np.round(place) + offset


def test_pupil_centre_is_where_the_truth_says(side_view: View) -> None:
    motion = side_view.motion(np.arange(0, 8, 0.7))
    truth = side_view.truth(motion)
    for i in range(len(motion.light)):
        middle = (truth["pupil_left_r"][i] + truth["pupil_right_r"][i]) / 2
        reach = round(24 / side_view.camera.upscaled)
        found = centroid(side_view.frame(motion, i), middle, reach, 35.0)
        assert np.abs(found - middle).max() < 0.35


def test_pupil_edges_are_where_the_truth_says(side_view: View) -> None:
    motion = side_view.motion(np.arange(0, 8, 1.1))
    truth = side_view.truth(motion)
    for i in range(len(motion.light)):
        luma = side_view.frame(motion, i)
        middle = (truth["pupil_top_r"][i] + truth["pupil_bottom_r"][i]) / 2
        for name in ("pupil_top_r", "pupil_right_r", "pupil_bottom_r", "pupil_left_r"):
            outwards = (truth[name][i] - middle) / np.linalg.norm(truth[name][i] - middle)
            inner = levels(luma, truth[name][i] - 3 * outwards, 0)
            outer = levels(luma, truth[name][i] + 3 * outwards, 0)
            assert outer - inner > 15, name


def test_mirrored_view_swaps_the_pupils_sides() -> None:
    sides = {}
    for name in ("left", "right"):
        view = demo_view(name)
        truth = view.truth(view.motion(np.zeros(1)))
        sides[name] = truth["pupil_right_r"][0, 0] - truth["pupil_left_r"][0, 0]
    assert sides["left"] > 0 > sides["right"]


def test_nose_centre_is_where_the_truth_says(side_view: View) -> None:
    motion = side_view.motion(np.arange(0, 8, 0.7))
    truth = side_view.truth(motion)["nose_tip"]
    for i in range(len(truth)):
        found = centroid(side_view.frame(motion, i), truth[i], round(22 / side_view.camera.upscaled), 62.0)
        assert np.abs(found - truth[i]).max() < 1.6 / side_view.camera.upscaled  # a glint on it pulls the centre away


@pytest.mark.parametrize(
    ("camera", "name"), [("left", "tube_bottom"), ("right", "tube_bottom"), ("body", "tail_start")]
)
def test_dark_spots_are_where_the_truth_says(camera: str, name: str) -> None:
    view = demo_view(camera)
    motion = view.motion(np.arange(0, 8, 0.7))
    truth = view.truth(motion)[name]
    for i in range(len(truth)):
        found = centroid(view.frame(motion, i), truth[i], round(13 / view.camera.upscaled), 60.0)
        assert np.abs(found - truth[i]).max() < 0.35


@pytest.mark.parametrize("camera", ["left", "right"])
def test_tongue_is_bright_just_where_its_ends_are_and_gone_otherwise(camera: str) -> None:
    view = demo_view(camera)
    motion = view.motion(np.arange(0, 10, 1 / 60))
    truth = view.truth(motion)
    out = np.isfinite(truth["tongue_end_l"][:, 0])
    assert np.array_equal(out, np.isfinite(truth["tongue_end_r"][:, 0]))
    assert 0.1 < out.mean() < 0.6
    for i in np.flatnonzero(out)[::12]:
        luma = view.frame(motion, i)
        for name in ("tongue_end_l", "tongue_end_r"):
            assert np.median(levels(luma, truth[name][i], 1)) > 150
    between = np.flatnonzero(~out)[::40]
    rest = (np.nanmean(truth["tongue_end_l"], axis=0) + np.nanmean(truth["tongue_end_r"], axis=0)) / 2
    for i in between:
        assert np.median(levels(view.frame(motion, i), rest, 3)) < 120


def test_right_truth_is_the_mirrored_half_size_scene_in_pixel_centres() -> None:
    camera = CAMERAS["right"]
    # scene columns 0 and 1 together are the last raw column
    raw = scene_to_raw(camera, np.array([[0.5, 0.5], [1278.5, 1022.5]]))
    assert np.allclose(raw, [[639, 0], [0, 511]])
    scene = np.array([[340.3, 560.9], [640.0, 330.0]])
    assert np.allclose(raw_to_network(camera, scene_to_raw(camera, scene)), scene)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["left", "right", "body"])
def test_points_stay_inside_their_windows(name: str, seed: int) -> None:
    camera = CAMERAS[name]
    view = View(camera, seed)
    truth = {point: raw_to_network(camera, xy) for point, xy in view.truth(view.motion(LONG)).items()}
    width, height = camera.frame_size
    for network in (NETWORKS[n] for n in camera.networks):
        if network.window is None:
            low, high = np.zeros(2), np.array([width, height])
        else:
            window = network.window
            anchor = np.mean([truth[point].mean(axis=0) for point in window.anchors], axis=0)
            low = anchor + (window.dx, window.dy)
            high = low + (window.width, window.height)
        for point in network.points:
            assert np.nanmin(truth[point] - low) >= MARGIN, point
            assert np.nanmin(high - 1 - truth[point]) >= MARGIN, point


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["left", "right", "body"])
def test_mean_places_are_far_off(name: str, seed: int) -> None:
    """Who answers with every point's mean place must be 4 times worse than a network that is 1 px off."""
    camera = CAMERAS[name]
    view = View(camera, seed)
    truth = view.truth(view.motion(np.arange(0, 10, 1 / camera.rates[0])))
    for network in (NETWORKS[n] for n in camera.networks):
        for point in network.points:
            places = raw_to_network(camera, truth[point]) / network.points_factor
            places = places[np.isfinite(places[:, 0])]
            assert np.median(np.linalg.norm(places - places.mean(axis=0), axis=1)) > 4.0, point


def test_frames_are_the_same_for_the_same_seed_and_differ_for_another(view: View) -> None:
    times = np.arange(3) / 10
    first = view.frame(view.motion(times), 2)
    again = View(view.camera, difficulty.DEMO_SEED)
    assert np.array_equal(again.frame(again.motion(times), 2), first)
    other = View(view.camera, difficulty.DEMO_SEED + 1)
    assert not np.array_equal(other.frame(other.motion(times), 2), first)


def test_noise_differs_from_frame_to_frame(view: View) -> None:
    motion = view.motion(np.zeros(2))
    first, second = (view.frame(motion, i).astype(float) for i in (0, 1))
    assert 1.0 < (first - second).std() < 10.0


def test_window_equals_that_part_of_the_whole_picture(view: View) -> None:
    state = view.motion(np.array([0.4])).at(0)
    whole = view.scene.picture(state)
    x0, y0 = whole.shape[1] // 4, whole.shape[0] // 2
    part = view.scene.picture(state, (x0, y0, 90, 70))
    assert np.allclose(part, whole[y0 : y0 + 70, x0 : x0 + 90], atol=1e-3)


@given(seed=st.integers(0, 10_000), rate=st.sampled_from([30.0, 150.0]))
@settings(max_examples=15, deadline=None)
def test_movement_does_not_depend_on_the_frame_rate(seed: int, rate: float) -> None:
    slow, fast = (side_motion(seed, np.arange(0, 2, step)) for step in (1 / rate, 1 / (2 * rate)))
    assert np.allclose(fast.head[::2], slow.head)
    assert np.allclose(fast.tongue[::2], slow.tongue)


def test_training_judging_and_demo_seeds_are_disjoint() -> None:
    training, judging = set(difficulty.TRAINING_SEEDS), set(difficulty.JUDGING_SEEDS)
    assert len(training) == len(difficulty.TRAINING_SEEDS) > 0
    assert not training & judging
    assert difficulty.DEMO_SEED not in training | judging
    # each view derives seeds of its own: those must not meet either
    views = [{View.own_seed(camera, seed) for seed in seeds for camera in CAMERAS} for seeds in (training, judging)]
    assert not views[0] & views[1]
