"""Points land where they should."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iblvideo_admin.tracking import drawing
from iblvideo_admin.tracking.pictures import Box

GREY = np.full((300, 400), 90, np.uint8)


def test_a_sure_point_is_a_disc_of_its_colour_at_its_place() -> None:
    picture = drawing.labelled(GREY, {"a": (100.0, 50.0, 0.99), "b": (300.0, 200.0, 0.95)})
    assert picture.getpixel((100, 50)) == drawing.colour(0, 2)
    assert picture.getpixel((300, 200)) == drawing.colour(1, 2)
    assert picture.getpixel((200, 125)) == (90, 90, 90)
    pixels = np.asarray(picture)[:300].astype(int)
    rows, columns = np.nonzero((pixels == drawing.colour(0, 2)).all(axis=2))
    assert (rows.mean(), columns.mean()) == (50, 100)


def test_an_unsure_point_is_a_ring() -> None:
    picture = drawing.labelled(GREY, {"a": (100.0, 50.0, 0.5)})
    assert picture.getpixel((100, 50)) == (90, 90, 90)
    assert picture.getpixel((97, 50)) == drawing.colour(0, 1)


def test_boxes_frame_their_pixels() -> None:
    picture = drawing.labelled(GREY, {}, boxes={"w": Box(10, 20, 30, 40)})
    for corner in ((10, 20), (39, 20), (10, 59), (39, 59)):
        assert picture.getpixel(corner) == (150, 150, 150)
    for beside in ((9, 20), (40, 20), (11, 21), (10, 60)):
        assert picture.getpixel(beside) == (90, 90, 90)


def test_the_frame_is_not_covered_by_the_legend() -> None:
    points = {f"point {n}": (5.0, 5.0, 0.1) for n in range(11)}
    picture = drawing.labelled(GREY, points, title="frame 3")
    assert picture.width == 400 and picture.height > 300
    assert (np.asarray(picture)[100:300] == 90).all()
    assert np.asarray(picture)[300:].std() > 10


@pytest.mark.parametrize("place", [(-50.0, 10.0), (1e9, -1e9), (float("nan"), 3.0), (3.0, float("inf"))])
def test_points_outside_the_frame(place: tuple[float, float]) -> None:
    picture = drawing.labelled(GREY, {"a": (*place, 1.0), "b": (20.0, 20.0, 1.0)})
    assert picture.getpixel((20, 20)) == drawing.colour(1, 2)


def test_colours_differ() -> None:
    assert len({drawing.colour(n, 11) for n in range(11)}) == 11


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_sheet(tmp_path: Path, count: int) -> None:
    pictures = [Image.new("RGB", (640, 512), (50 * n, 0, 0)) for n in range(1, count + 1)]
    path = drawing.sheet(pictures, tmp_path / "new folder" / "sheet.png")
    page = Image.open(path)
    assert page.width == 1280
    assert {colour[1][0] for colour in page.getcolors()} >= {50 * n for n in range(1, count + 1)}
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(OSError, match="directory"):
        drawing.save(Image.new("RGB", (8, 8)), tmp_path / "sheet.png")
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]
