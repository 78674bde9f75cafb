"""Ours against our own writing of the IBL's pipeline: the same points, but for what is known to differ."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import iblvideo_admin
from bench.reference import ours, pipeline
from bench.reference.differences import ALLOWED, Difference, differences
from bench.reference.rows import compared
from iblvideo_admin.demo.session import render_session
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

DEMO = Path(iblvideo_admin.__file__).parent / "demo/weights"
SURE = np.array([10.0, 20.0, 1.0])


def test_windows_are_the_means_of_whole_means() -> None:
    """The reference cuts each anchor's mean to whole pixels, then takes their mean: halves remain."""
    seen = {
        "nose_tip": np.array([[100.4, 200.9, 1.0], [101.4, 200.9, 0.95], [500.0, 500.0, 0.2]]),
        "pupil_top_r": np.array([[640.0, 320.0, 1.0]]),
        "tube_top": np.array([[330.0, 680.0, 1.0]]),
        "tube_bottom": np.array([[319.0, 740.0, 1.0]]),
    }
    found = pipeline.windows(seen, CAMERAS["left"])
    assert found == {
        "nose_tip": (100.0, 100.0, 50.0, 150.0),
        "eye": (100.0, 100.0, 590.0, 270.0),
        "tongue": (160.0, 160.0, 264.5, 610.0),
    }
    with pytest.raises(ValueError, match="tube_top"):
        pipeline.windows({**seen, "tube_top": seen["tube_top"] * (1, 1, 0.5)}, CAMERAS["left"])


def test_points_go_back_as_the_ibl_maps_them() -> None:
    windows = {"eye": (100.0, 100.0, 591.0, 270.5)}
    found = {"eye": {"pupil_top_r": SURE[np.newaxis]}, "paws": {"paw_l": SURE[np.newaxis]}}
    left, right = (pipeline.joined(found, windows, CAMERAS[name]) for name in ("left", "right"))
    np.testing.assert_array_equal(left["pupil_top_r"], [[601.0, 290.5, 1.0]])
    np.testing.assert_array_equal(left["paw_l"], [[100.0, 200.0, 1.0]])
    np.testing.assert_array_equal(right["pupil_top_r"], [[640 - 300.5, 145.25, 1.0]])


@pytest.mark.parametrize(
    ("x", "y", "left", "right"), [(7, 8, (1, 0), (-0.5, 0)), (6.5, 7.5, (0.5, -0.5), (-0.25, -0.25))]
)
def test_the_references_bias(x: float, y: float, left: tuple[float, float], right: tuple[float, float]) -> None:
    """It cuts at round(x) made even, and adds x."""
    windows = {"eye": (100.0, 100.0, x, y)}
    np.testing.assert_array_equal(ours.bias("eye", CAMERAS["left"], windows), left)
    np.testing.assert_array_equal(ours.bias("eye", CAMERAS["right"], windows), right)
    np.testing.assert_array_equal(ours.bias("paws", CAMERAS["left"], windows), (0, 0))


def test_differences_are_those_of_sure_points() -> None:
    one = np.tile(SURE, (20, 1))
    other = one + np.array([3.0, 4.0, 0.0])
    other[10:] = (900, 900, 0.5)
    found = differences({"paw_l": one}, {"paw_l": other})["paw_l"]
    assert found == Difference(5.0, 5.0, 10)
    assert found.within((5.0, 5.0)) and not found.within((4.9, 9)) and not found.within((9, 4.9))
    assert str(differences({"paw_l": one}, {"paw_l": other * (1, 1, 0)})["paw_l"]) == "never sure"


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CAMERAS)
def test_ours_lies_as_near_to_the_reference_as_re_encoding_lets_it(tmp_path: Path, dlc_python: Path, name: str) -> None:
    """Two seconds: cut at the reference's even offsets within the table; elsewhere its bias is part of what is more."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("SKIPPED: the reference pipeline needs the command ffmpeg")
    camera, session = CAMERAS[name], tmp_path / "reference/2026-01-15/001"
    render_session(session, [name], seconds=2.0)
    raw, folder = Video(session, camera).path, tmp_path / "files"
    folder.mkdir()
    reference = pipeline.track(raw, camera, DEMO, dlc_python, folder)
    with open(tmp_path / "log", "wb") as log, TensorFlow1(dlc_python, log) as engine:
        engine.load(weights.load(DEMO, camera.networks))
        apart = compared(raw, camera, DEMO, reference, engine)
    assert reference.frames == round(2.0 * camera.rates[0])
    assert set(apart["as they are"]) == set(camera.points)
    assert too_far(apart["even offsets"]) == {}
    for point, found in apart["as they are"].items():
        assert found.frames == 0 or apart["bias taken off"][point].median <= found.median, point
    # and the comparison means something: points were sure
    assert all(apart["as they are"][point].frames > 50 for point in camera.points if "tongue" not in point)


def too_far(apart: Mapping[str, Difference]) -> dict[str, str]:
    return {name: str(found) for name, found in apart.items() if not found.within(ALLOWED[name])}
