"""Where the networks look: the sample of frames, what counts as found, and the windows that follow."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.tracking import regions

LEFT, RIGHT, BODY = CAMERAS["left"], CAMERAS["right"], CAMERAS["body"]
ROI = NETWORKS["roi_detect"].points
PLACES = {
    "nose_tip": (300.0, 500.0),
    "pupil_top_r": (640.0, 300.0),
    "tube_top": (330.0, 700.0),
    "tube_bottom": (310.0, 740.0),
}


class FakeReader:
    """Frames that tell their number; ``undecodable`` ones are left out, as the real reader does."""

    path = Path("/a/video.mp4")
    levels = np.arange(256, dtype=np.uint8)

    def __init__(self, frames: int, rate: float = 60.0, undecodable: Sequence[int] = ()) -> None:
        self.pictures, self.info = frames, SimpleNamespace(rate=rate)
        self.warnings: list[str] = []
        self.undecodable = undecodable

    def frames_at(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        for number in numbers:
            if number not in self.undecodable:
                yield number, np.full((4, 4), number % 256, np.uint8)


def find(
    engine: Any, reader: FakeReader | None = None, camera: Any = LEFT, names: Sequence[str] = ROI, **options: Any
) -> regions.Regions:
    def no_picture(_: object) -> None:
        return None

    steps: list[tuple[int, int]] = []
    found = regions.find(
        reader or FakeReader(1200),  # type: ignore[arg-type]
        camera,
        engine,
        tuple(names),
        options.get("picture", no_picture),
        lambda done, of: steps.append((done, of)),
    )
    assert steps[-1][1] >= steps[-1][0] == len(found.frames)
    return found


def points_at(places: dict[str, tuple[float, float]], names: Sequence[str] = ROI, sure: float = 0.99) -> np.ndarray:
    return np.array([[[*places.get(name, (0.0, 0.0)), sure if name in places else 0.1] for name in names]])


# --------------------------------------------------------------------------------------------- the sample


@pytest.mark.parametrize(
    ("frames", "rate", "count"),
    [(60 * 100, 60, 100), (60 * 3600, 60, 500), (600, 60, 20), (150 * 21, 150, 21), (7, 60, 7), (1, 60, 1), (0, 60, 0)],
)
def test_the_size_of_the_sample(frames: int, rate: float, count: int) -> None:
    assert len(regions.sample(frames, rate)) == count


def test_a_rate_of_zero_is_no_division() -> None:
    assert len(regions.sample(1000, 0.0)) == 20


@given(st.integers(1, 300_000), st.sampled_from([30.0, 60.0, 150.0, 29.97]))
def test_the_sample_is_spread_over_the_whole_video(frames: int, rate: float) -> None:
    numbers = regions.sample(frames, rate)
    assert len(numbers) == min(int(np.clip(frames / rate, 20, 500)), frames)
    assert numbers[0] == 0 and numbers[-1] == frames - 1 if len(numbers) > 1 else numbers == (0,)
    steps = np.diff(numbers)
    assert (steps > 0).all() and (not len(steps) or steps.max() - steps.min() <= 1)


# --------------------------------------------------------------------------------------------- the windows

anywhere = st.floats(-5000, 5000)


@given(st.sampled_from(sorted(CAMERAS)), st.data())
def test_windows_never_leave_the_frame(camera: str, data: st.DataObject) -> None:
    of = CAMERAS[camera]
    points = {name: data.draw(st.tuples(anywhere, anywhere)) for name in of.anchors}
    windows = regions.by_hand(points, of).windows
    assert set(windows) == {name for name in of.networks if NETWORKS[name].window}
    width, height = of.frame_size
    for name, box in windows.items():
        window = NETWORKS[name].window
        assert window is not None and (box.width, box.height) == (window.width, window.height)
        assert 0 <= box.x <= width - box.width and 0 <= box.y <= height - box.height


def test_windows_by_hand() -> None:
    where = regions.by_hand(PLACES, LEFT)
    corners = {name: (box.x, box.y) for name, box in where.windows.items()}
    assert corners == {"nose_tip": (250, 450), "eye": (590, 250), "tongue": (320 - 60, 720 - 100)}
    assert where.how == "by hand" and where.frames == ()


def test_windows_by_hand_of_the_right_camera() -> None:
    """Given in raw pixels; the networks' frame is mirrored and twice as large."""
    where = regions.by_hand({name: (640 - x / 2, y / 2) for name, (x, y) in PLACES.items()}, RIGHT)
    assert where.windows == regions.by_hand(PLACES, LEFT).windows


def test_the_anchors_of_a_camera() -> None:
    assert LEFT.anchors == ("nose_tip", "pupil_top_r", "tube_top", "tube_bottom")
    assert BODY.anchors == ("tail_start",)


# --------------------------------------------------------------------------------------------- finding


def test_found(fake_engine: Callable[..., Any]) -> None:
    engine = fake_engine(lambda name, images: points_at(PLACES))
    where = find(engine)
    assert where.how == "found" and where.windows == regions.by_hand(PLACES, LEFT).windows
    assert where.frames == regions.sample(1200, 60)
    assert where.anchors["nose_tip"] == regions.Anchor(300, 500, 0, 20, 0)
    data = where.as_data()
    assert data.keys() == {"how", "anchors", "windows", "frames", "frames_left_out"}
    assert data["anchors"]["nose_tip"] == {"x": 300, "y": 500, "spread": 0, "frames": 20, "left_out": 0}
    assert data["frames"] == list(where.frames) and data["frames_left_out"] == []
    assert data["windows"]["eye"] == {"x": 590, "y": 250, "width": 100, "height": 100}
    assert {name for name, _ in engine.batches} == {"roi_detect"}
    assert [int(images[0, 0, 0]) for _, images in engine.batches] == [n % 256 for n in where.frames]


def test_the_networks_own_order_of_points_counts(fake_engine: Callable[..., Any]) -> None:
    """A network may list its points in another order, and more of them, than the rigs' table does."""
    names = ["tongue_end_l", *reversed(ROI)]
    places = {**PLACES, "tongue_end_l": (1000.0, 10.0)}
    where = find(fake_engine(lambda name, images: points_at(places, names)), names=names)
    assert where.windows == regions.by_hand(PLACES, LEFT).windows


def test_the_mean_of_the_sure_points_only(fake_engine: Callable[..., Any]) -> None:
    calls = iter(range(1000))

    def points(name: str, images: np.ndarray) -> np.ndarray:
        turn = next(calls) % 4
        if turn == 0:
            return points_at(dict.fromkeys(ROI, (9999.0, 9999.0)), sure=0.89)
        shifted = {name: (x + turn - 2, y) for name, (x, y) in PLACES.items()}
        return points_at(shifted, sure=0.9)

    where = find(fake_engine(points))
    assert where.windows == regions.by_hand(PLACES, LEFT).windows
    assert where.anchors["nose_tip"].frames == 15
    assert where.anchors["nose_tip"].spread == pytest.approx(np.sqrt(2 / 3))


def test_one_anchor_of_two_suffices(fake_engine: Callable[..., Any]) -> None:
    places = {name: place for name, place in PLACES.items() if name != "tube_top"}
    where = find(fake_engine(lambda name, images: points_at(places)))
    assert (where.windows["tongue"].x, where.windows["tongue"].y) == (310 - 60, 740 - 100)


def test_frames_that_cannot_be_decoded_are_left_out(fake_engine: Callable[..., Any]) -> None:
    reader = FakeReader(20, undecodable=(3, 7))
    where = find(fake_engine(lambda name, images: points_at(PLACES)), reader)
    assert where.frames == tuple(n for n in range(20) if n not in (3, 7))
    assert where.left_out == (3, 7) and where.as_data()["frames_left_out"] == [3, 7]
    assert reader.warnings == [
        "2 of 20 frames sampled for the regions could not be decoded undamaged, the first is frame 3"
    ]


class SlowEngine:
    """Answers only when asked for an answer; ``open`` is how many frames have none yet."""

    def __init__(self) -> None:
        self.open, self.most = 0, 0

    def submit(self, network: str, images: np.ndarray) -> Any:
        self.open += 1
        self.most = max(self.most, self.open)
        return self

    def result(self) -> np.ndarray:
        self.open -= 1
        return points_at(PLACES)


def test_decoding_goes_on_while_the_network_works() -> None:
    """But only some frames ahead: a whole frame is large."""
    engine = SlowEngine()
    assert find(engine).windows == regions.by_hand(PLACES, LEFT).windows
    assert engine.most == regions.AHEAD + 1 > 1 and engine.open == 0


def test_nothing_can_be_decoded(fake_engine: Callable[..., Any]) -> None:
    for reader in (FakeReader(20, undecodable=range(20)), FakeReader(0)):
        with pytest.raises(UserError) as caught:
            find(fake_engine(lambda name, images: points_at(PLACES)), reader)
        assert caught.value.code == "video.corrupt"


def not_found(engine: Any, tmp_path: Path) -> tuple[str, list[Any]]:
    shown: list[Any] = []

    def picture(frames: list[Any]) -> Path:
        shown.extend(frames)
        return tmp_path / "regions.png"

    with pytest.raises(UserError) as caught:
        find(engine, picture=picture)
    assert caught.value.code == "regions.not_found"
    assert "--windows" in caught.value.remedy
    assert str(tmp_path / "regions.png") in caught.value.message
    return caught.value.message, shown


def test_nothing_found(fake_engine: Callable[..., Any], tmp_path: Path) -> None:
    message, shown = not_found(fake_engine(lambda name, images: points_at({})), tmp_path)
    assert "nose_tip is sure in none of 20 frames" in message and "tube_bottom" in message
    assert 1 <= len(shown) <= 4
    number, frame, points = shown[0]
    assert number == 0 and frame.shape == (4, 4) and points.shape == (4, 3)


def test_only_the_missing_ones_are_named(fake_engine: Callable[..., Any], tmp_path: Path) -> None:
    places = {name: place for name, place in PLACES.items() if name != "pupil_top_r"}
    message, _ = not_found(fake_engine(lambda name, images: points_at(places)), tmp_path)
    assert "pupil_top_r" in message and "nose_tip" not in message


def test_a_point_seen_too_rarely_is_chance(fake_engine: Callable[..., Any], tmp_path: Path) -> None:
    for sure_frames in (1, 2):
        calls = iter(range(1000))
        engine = fake_engine(lambda n, i, c=calls, s=sure_frames: points_at(PLACES if next(c) < s else {}))
        if sure_frames / 20 < regions.LEAST_PART:
            assert "at one place in 1 of 20 frames" in not_found(engine, tmp_path)[0]
        else:
            assert find(engine).anchors["nose_tip"].frames == 2


@pytest.mark.parametrize(("off", "left_out"), [(49.0, 0), (51.0, 6)])
def test_chance_is_left_out_of_the_mean(fake_engine: Callable[..., Any], off: float, left_out: int) -> None:
    """Farther from the median than half a window (100 px), seen in the lesser part of the frames."""
    calls = iter(range(1000))
    x, y = PLACES["nose_tip"]

    def points(name: str, images: np.ndarray) -> np.ndarray:
        return points_at({**PLACES, "nose_tip": (x + (off if next(calls) % 10 < 3 else 0), y)})

    anchor = find(fake_engine(points)).anchors["nose_tip"]
    assert (anchor.frames, anchor.left_out) == (20 - left_out, left_out)
    assert anchor.x == pytest.approx(x if left_out else x + 0.3 * off)


def test_a_point_that_jumps_about_is_no_place(fake_engine: Callable[..., Any], tmp_path: Path) -> None:
    calls = iter(range(1000))

    def points(name: str, images: np.ndarray) -> np.ndarray:
        return points_at({**PLACES, "nose_tip": (100.0 * next(calls), 10.0)})

    assert "nose_tip is sure at one place" in not_found(fake_engine(points), tmp_path)[0]
