"""The experiment's constants: cameras, networks and points of an IBL rig, as data.

Everything here is a fact of the rigs and of the IBL's networks (sizes, rates, crop windows, the order of
points in a table); nothing here computes.  Pixel coordinates follow DeepLabCut: x grows to the right, y
downwards, the centre of the upper left pixel is (0, 0).

Source: the IBL's video pipeline (iblvideo, ``params.py`` and ``choiceworld.py``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Where a network looks: a crop of ``width`` x ``height`` px at ``(dx, dy)`` from the mean of its anchors."""

    width: int
    height: int
    dx: int
    dy: int
    anchors: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """One DeepLabCut network of a weights folder and how its input is made from the networks' frame.

    ``window`` None means the whole frame; ``scaled_to`` (width, height) then shrinks it, and the points
    found are multiplied by ``points_factor``.  ``white`` stretches the levels: out = min(255, in / white).
    """

    name: str
    folder: str
    points: tuple[str, ...]
    window: Window | None = None
    scaled_to: tuple[int, int] | None = None
    points_factor: float = 1.0
    white: float = 1.0


@dataclass(frozen=True)
class Camera:
    """One camera of a rig.

    ``mirrored`` and ``upscaled`` say how its picture becomes the networks' frame; ``networks`` are in the
    order of the table's columns; ``region_network`` finds the windows' anchors on whole frames.
    """

    name: str
    width: int
    height: int
    rates: tuple[float, ...]
    region_network: str
    networks: tuple[str, ...]
    mirrored: bool = False
    upscaled: int = 1

    @property
    def raw_name(self) -> str:
        """The raw video's file name in ``raw_video_data``."""
        return f"_iblrig_{self.name}Camera.raw.mp4"

    @property
    def table_name(self) -> str:
        """The table's file name in ``alf``."""
        return f"_ibl_{self.name}Camera.dlc.pqt"

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frame that the networks' windows are cut from."""
        return self.width * self.upscaled, self.height * self.upscaled

    @property
    def points(self) -> tuple[str, ...]:
        """All tracked points, in the order of the table's columns."""
        return tuple(point for name in self.networks for point in NETWORKS[name].points)

    @property
    def anchors(self) -> tuple[str, ...]:
        """The points from which the windows follow."""
        names = (name for network in self.networks if (w := NETWORKS[network].window) for name in w.anchors)
        return tuple(dict.fromkeys(names))


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            "roi_detect",
            "roi_detect-*",
            ("nose_tip", "pupil_top_r", "tube_top", "tube_bottom"),
        ),
        Network("nose_tip", "nose_tip-*", ("nose_tip",), Window(100, 100, -50, -50, ("nose_tip",))),
        Network(
            "eye",
            "eye-mic-*",
            ("pupil_top_r", "pupil_right_r", "pupil_bottom_r", "pupil_left_r"),
            Window(100, 100, -50, -50, ("pupil_top_r",)),
            white=0.25,
        ),
        Network("paws", "paw2-mic-*", ("paw_l", "paw_r"), scaled_to=(128, 102), points_factor=10.0),
        Network(
            "tongue",
            "tongue-mic-*",
            ("tube_top", "tube_bottom", "tongue_end_l", "tongue_end_r"),
            Window(160, 160, -60, -100, ("tube_top", "tube_bottom")),
        ),
        Network("tail_start", "tail-mic-*", ("tail_start",), Window(220, 220, -110, -110, ("tail_start",))),
    )
}

_SIDE = ("nose_tip", "eye", "paws", "tongue")

CAMERAS: dict[str, Camera] = {
    camera.name: camera
    for camera in (
        Camera("left", 1280, 1024, (60.0, 30.0), "roi_detect", _SIDE),
        Camera("right", 640, 512, (150.0,), "roi_detect", _SIDE, mirrored=True, upscaled=2),
        Camera("body", 640, 512, (30.0, 60.0), "tail_start", ("tail_start",)),
    )
}
