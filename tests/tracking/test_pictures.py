"""What each network sees, against ffmpeg's own filters; and the way back to raw pixels."""

from collections.abc import Callable

import av
import numpy as np
from hypothesis import given, settings
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


def pictures_of(luma: np.ndarray, camera: str, levels: np.ndarray, windows: dict[str, Box]) -> dict[str, np.ndarray]:
    """One frame's pictures as the networks get them."""
    cutter = Cutter(CAMERAS[camera], levels, windows)
    shapes = {name: cutter.shape(name) for name in CAMERAS[camera].networks}
    stores = {name: bytearray(height * width) for name, (height, width) in shapes.items()}
    cutter.cut(luma, {name: np.frombuffer(store, np.uint8).reshape(shapes[name]) for name, store in stores.items()})
    return {
        name: np.frombuffer(cutter.levelled(name, store), np.uint8).reshape(shapes[name])
        for name, store in stores.items()
    }


def test_windows_are_slices_of_the_left_frame() -> None:
    frame = texture(1024, 1280)
    cut = pictures_of(frame, "left", SAME, SIDE)
    assert list(cut) == list(CAMERAS["left"].networks)
    np.testing.assert_array_equal(cut["nose_tip"], frame[7:107, 3:103])
    np.testing.assert_array_equal(cut["tongue"], frame[333:493, 501:661])
    np.testing.assert_array_equal(cut["eye"], pictures.levels_for(NETWORKS["eye"], SAME)[frame[924:, 1180:]])


def test_the_right_camera_looks_like_the_left() -> None:
    luma = texture(512, 640)
    expected = ffmpeg(luma, ("hflip", ""), ("scale", "1280:1024:flags=bicubic"))
    np.testing.assert_array_equal(pictures.networks_frame(luma, CAMERAS["right"]), expected)
    cut = pictures_of(luma, "right", SAME, SIDE)
    np.testing.assert_array_equal(cut["nose_tip"], expected[7:107, 3:103])
    np.testing.assert_array_equal(cut["paws"], ffmpeg(expected, ("scale", "128:102:flags=bicubic")))


def test_paws_are_ffmpegs_bicubic_scaling(rig_frames: Callable[[str], np.ndarray]) -> None:
    for frame in (texture(1024, 1280), rig_frames("left")[0]):
        cut = pictures_of(frame, "left", SAME, SIDE)
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
    cut = pictures_of(frame, "left", table, SIDE)
    assert (cut["nose_tip"] == table[40]).all() and (cut["eye"] == stretched[40]).all()


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 9), st.integers(0, 99))
def test_mirrored(height: int, eights: int, beyond: int, seed: int) -> None:
    """Also of a slice of wider lines, at any address, as a decoder's plane is one."""
    lines = np.random.default_rng(seed).integers(0, 256, (height, 8 * eights + beyond)).astype(np.uint8)
    plane = lines[:, beyond:]
    mirrored = pictures.mirrored(plane)
    np.testing.assert_array_equal(mirrored, plane[:, ::-1])
    assert mirrored.flags.c_contiguous and not np.shares_memory(mirrored, lines)


@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_scaler_keeps_nothing_of_the_frame_before(width: int, height: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scale = pictures.Scaler(width, height)
    frames = [generator.integers(0, 256, (48, 64)).astype(np.uint8) for _ in range(3)]
    scaled = [scale(frame) for frame in frames]
    for frame, ours in zip(frames, scaled, strict=True):
        np.testing.assert_array_equal(ours, ffmpeg(frame, ("scale", f"{width}:{height}:flags=bicubic")))


@given(st.data())
@settings(deadline=None, max_examples=25)
def test_windows_at_any_place(data: st.DataObject) -> None:
    """Inside the frame, of any place: the pixels below them, or those at the even place before."""
    camera = CAMERAS[data.draw(st.sampled_from(sorted(CAMERAS)))]
    width, height = camera.frame_size
    windows = {
        name: Box(
            data.draw(st.integers(0, width - w.width)), data.draw(st.integers(0, height - w.height)), w.width, w.height
        )
        for name in camera.networks
        if (w := NETWORKS[name].window)
    }
    luma = texture(camera.height, camera.width)
    frame = pictures.networks_frame(luma, camera)
    for even in (False, True):
        cutter = Cutter(camera, SAME, windows, even_offsets=even)
        places = {name: np.zeros(cutter.shape(name), np.uint8) for name in camera.networks}
        cutter.cut(luma, places)
        for name, box in windows.items():
            x, y = (box.x - box.x % 2, box.y - box.y % 2) if even else (box.x, box.y)
            np.testing.assert_array_equal(places[name], frame[y : y + box.height, x : x + box.width])


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
