"""What each network sees, against ffmpeg's own filters; and the way back to raw pixels."""

from collections.abc import Callable

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.tracking import pictures
from iblvideo_admin.tracking.pictures import Box, Cutter
from iblvideo_admin.tracking.video import limited_to_full

SAME = np.arange(256, dtype=np.uint8)
SIDE = {"nose_tip": Box(3, 7, 100, 100), "eye": Box(1180, 924, 100, 100), "tongue": Box(501, 333, 160, 160)}


def texture(height: int, width: int) -> np.ndarray:
    """Noise, edges and a ramp: what scaling treats differently."""
    picture = np.random.default_rng(1).integers(0, 256, (height, width)).astype(np.uint8)
    picture[: height // 2] = np.linspace(0, 255, width).astype(np.uint8)
    picture[height // 4 : height // 3, width // 4 : width // 3] = 255
    return picture


def ffmpeg(picture: np.ndarray, *filters: tuple[str, str], wanted: str = "gray") -> np.ndarray:
    """A grey picture sent through a graph of ffmpeg's filters."""
    graph = av.filter.Graph()
    frame = av.VideoFrame.from_ndarray(picture, format="gray")
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=1)]
    for name, arguments in (*filters, ("format", wanted)):
        nodes.append(graph.add(name, arguments))
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    return graph.vpull().to_ndarray()


def test_windows_are_slices_of_the_left_frame() -> None:
    frame = texture(1024, 1280)
    cut = Cutter(CAMERAS["left"], SAME, SIDE).cut(frame)
    assert list(cut) == list(CAMERAS["left"].networks)
    np.testing.assert_array_equal(cut["nose_tip"], frame[7:107, 3:103])
    np.testing.assert_array_equal(cut["tongue"], frame[333:493, 501:661])
    np.testing.assert_array_equal(cut["eye"], pictures.levels_for(NETWORKS["eye"], SAME)[frame[924:, 1180:]])


def test_the_right_camera_looks_like_the_left() -> None:
    luma = texture(512, 640)
    expected = ffmpeg(luma, ("hflip", ""), ("scale", "1280:1024:flags=bicubic"))
    np.testing.assert_array_equal(pictures.networks_frame(luma, CAMERAS["right"]), expected)
    cut = Cutter(CAMERAS["right"], SAME, SIDE).cut(luma)
    np.testing.assert_array_equal(cut["nose_tip"], expected[7:107, 3:103])
    np.testing.assert_array_equal(cut["paws"], ffmpeg(expected, ("scale", "128:102:flags=bicubic")))


def test_paws_are_ffmpegs_bicubic_scaling(rig_frames: Callable[[str], np.ndarray]) -> None:
    for frame in (texture(1024, 1280), rig_frames("left")[0]):
        cut = Cutter(CAMERAS["left"], SAME, SIDE).cut(frame)
        np.testing.assert_array_equal(cut["paws"], ffmpeg(frame, ("scale", "128:102:flags=bicubic")))


def test_a_plane_with_longer_lines() -> None:
    """A decoder's plane is a slice of wider lines."""
    wide = texture(512, 704)
    narrow = wide[:, :640]
    expected = pictures.networks_frame(np.ascontiguousarray(narrow), CAMERAS["right"])
    np.testing.assert_array_equal(pictures.networks_frame(narrow, CAMERAS["right"]), expected)


def test_the_eyes_levels_are_ffmpegs() -> None:
    ramp = np.tile(SAME, (4, 1))
    expected = ffmpeg(ramp, ("format", "rgb24"), ("colorlevels", "rimax=0.25:gimax=0.25:bimax=0.25"), wanted="rgb24")
    np.testing.assert_array_equal(pictures.levels_for(NETWORKS["eye"], SAME), expected[0, :, 0])
    np.testing.assert_array_equal(pictures.levels_for(NETWORKS["paws"], SAME), SAME)


def test_levels_come_after_the_cameras() -> None:
    table = limited_to_full()
    stretched = pictures.levels_for(NETWORKS["eye"], table)
    assert stretched.dtype == np.uint8
    assert stretched[16] == 0 and stretched[235] == 255
    assert (np.diff(stretched.astype(int)) >= 0).all()
    frame = np.full((1024, 1280), 40, np.uint8)
    cut = Cutter(CAMERAS["left"], table, SIDE).cut(frame)
    assert (cut["nose_tip"] == table[40]).all() and (cut["eye"] == stretched[40]).all()


@pytest.mark.parametrize("camera", ["left", "right", "body"])
def test_shapes(camera: str) -> None:
    of = CAMERAS[camera]
    windows = SIDE if camera != "body" else {"tail_start": Box(0, 0, 220, 220)}
    cutter = Cutter(of, SAME, windows)
    for name, picture in cutter.cut(np.zeros((of.height, of.width), np.uint8)).items():
        assert picture.shape == cutter.shape(name) and picture.dtype == np.uint8


coordinates = st.floats(0, 2000, allow_nan=False)


@given(st.sampled_from(sorted(CAMERAS)), coordinates, coordinates, st.integers(0, 900), st.integers(0, 800))
def test_to_raw_is_the_inverse_of_to_networks(camera: str, x: float, y: float, left: int, top: int) -> None:
    of = CAMERAS[camera]
    for name in of.networks:
        network = NETWORKS[name]
        windows = {name: Box(left, top, 100, 100)}
        seen_x, seen_y = pictures.to_networks(x, y, of)
        if network.scaled_to is None:
            seen_x, seen_y = seen_x - left, seen_y - top
        own = np.array([[seen_x / network.points_factor, seen_y / network.points_factor, 0.25]])
        raw = pictures.to_raw(own, name, of, windows)
        assert raw.dtype == np.float64
        np.testing.assert_allclose(raw, [[x, y, 0.25]], atol=1e-9)


def test_the_formulas_of_the_ibl() -> None:
    points = np.array([[[10.0, 20.0, 0.5]]])
    box = {"nose_tip": Box(100, 200, 100, 100)}
    assert pictures.to_raw(points, "nose_tip", CAMERAS["left"], box).tolist() == [[[110, 220, 0.5]]]
    assert pictures.to_raw(points, "nose_tip", CAMERAS["right"], box).tolist() == [[[640 - 55, 110, 0.5]]]
    assert pictures.to_raw(points, "paws", CAMERAS["left"], {}).tolist() == [[[100, 200, 0.5]]]
    assert points.tolist() == [[[10.0, 20.0, 0.5]]]
