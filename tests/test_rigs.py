"""The rig's constants against the IBL's tables, written down a second time here."""

from iblvideo_admin.rigs import CAMERAS, NETWORKS

SIDE_POINTS = [
    "nose_tip",
    "pupil_top_r",
    "pupil_right_r",
    "pupil_bottom_r",
    "pupil_left_r",
    "paw_l",
    "paw_r",
    "tube_top",
    "tube_bottom",
    "tongue_end_l",
    "tongue_end_r",
]


def test_cameras() -> None:
    seen = {c.name: (c.width, c.height, c.frame_size, c.rates, c.mirrored, c.upscaled) for c in CAMERAS.values()}
    assert seen == {
        "left": (1280, 1024, (1280, 1024), (60.0, 30.0), False, 1),
        "right": (640, 512, (1280, 1024), (150.0,), True, 2),
        "body": (640, 512, (640, 512), (30.0, 60.0), False, 1),
    }


def test_points_in_the_order_of_the_columns() -> None:
    assert list(CAMERAS["left"].points) == SIDE_POINTS
    assert list(CAMERAS["right"].points) == SIDE_POINTS
    assert CAMERAS["body"].points == ("tail_start",)


def test_file_names() -> None:
    assert CAMERAS["left"].raw_name == "_iblrig_leftCamera.raw.mp4"
    assert CAMERAS["body"].table_name == "_ibl_bodyCamera.dlc.pqt"


def test_every_anchor_is_a_point_of_the_cameras_region_network() -> None:
    for camera in CAMERAS.values():
        known = NETWORKS[camera.region_network].points
        for name in camera.networks:
            window = NETWORKS[name].window
            if window is not None:
                assert set(window.anchors) <= set(known)
                assert window.width < camera.frame_size[0] and window.height < camera.frame_size[1]


def test_windows() -> None:
    seen = {n.name: (w.width, w.height, w.dx, w.dy, w.anchors) for n in NETWORKS.values() if (w := n.window)}
    assert seen == {
        "nose_tip": (100, 100, -50, -50, ("nose_tip",)),
        "eye": (100, 100, -50, -50, ("pupil_top_r",)),
        "tongue": (160, 160, -60, -100, ("tube_top", "tube_bottom")),
        "tail_start": (220, 220, -110, -110, ("tail_start",)),
    }
    assert NETWORKS["paws"].scaled_to == (128, 102) and NETWORKS["paws"].points_factor == 10
    assert NETWORKS["eye"].white == 0.25
