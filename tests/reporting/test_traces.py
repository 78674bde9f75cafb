"""Tables of whatever origin become arrays, and what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import tables

from iblvideo_admin.errors import UserError
from iblvideo_admin.reporting import quality, traces
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.pictures import Box, to_raw


def test_a_table_of_ours(tmp_path: Path) -> None:
    window = {"regions": {"windows": {"eye": {"x": 400, "y": 300, "width": 100, "height": 100}}}}
    path = tables.write(tmp_path / "_ibl_rightCamera.dlc.pqt", tables.still(5, nose_tip=(1, 2, 0.5)), window)
    found = traces.read(path)
    assert (found.frames, found.points) == (5, ("nose_tip",))
    assert found.xy[0].tolist() == [[1, 2]] and found.likelihood[0].tolist() == [0.5]
    box = found.windows["eye"]
    assert box == Box(640 - 200 - 50, 150, 50, 50)
    corner = to_raw(np.array([[0.0, 0.0, 1.0]]), "eye", CAMERAS["right"], {"eye": Box(400, 300, 100, 100)})
    assert corner[0, :2].tolist() == [box.x + box.width, box.y], "the mirrored window's left edge is the right one"


@pytest.mark.parametrize("provenance", [None, 5, "x", {"regions": None}, {"regions": {"windows": {"eye": {"x": "a"}}}}])
def test_whatever_provenance_says(tmp_path: Path, provenance: object) -> None:
    path = tables.write(tmp_path / "_ibl_leftCamera.lightningPose.pqt", tables.still(3, paw_l=(1, 2, 1)), provenance)
    assert traces.read(path).windows.keys() <= {"eye"}


def test_deeplabcuts_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("scorer,a,a,a\nbodyparts,paw_l,paw_l,paw_l\ncoords,x,y,likelihood\n0,1,2,0.5\n1,,4,0.9\n")
    found = traces.read(path)
    assert found.points == ("paw_l",) and np.isnan(found.xy[1, 0, 0]) and found.likelihood[:, 0].tolist() == [0.5, 0.9]
    path.write_text("scorer,a,a\nbodyparts,paw_l,paw_l\ncoords,x,y\nimg0.png,1,2\nimg1.png,,\n")
    by_hand = traces.read(path)
    assert by_hand.sure(0.9)[:, 0].tolist() == [True, False]


def test_real_tables_of_lightning_pose(shared: Path) -> None:
    found = traces.read(shared / "data/eks/pupil.left.csv")
    assert found.points == ("pupil_top_r", "pupil_right_r", "pupil_bottom_r", "pupil_left_r") and found.frames == 2000
    judged = quality.judged(found)
    assert 0.5 < judged["sure"] <= 1 and judged["missing"] == 0


@pytest.mark.parametrize("content", [
    b"", b"PAR1", b"PAR1" + b"\0" * 200 + b"PAR1", b"scorer,a\n", b"\xff\xfe",
    b"scorer,a\nbodyparts,p\ncoords,x\n0,word\n",
    b"scorer,a,a\nbodyparts,p,p\ncoords,x,y\n0,1\n1,2,3\n",
])  # fmt: skip
@pytest.mark.parametrize("name", ["t.pqt", "t.csv"])
def test_no_table_of_points(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        traces.read(tmp_path / name)
    assert caught.value.code == "table.not_usable"


def test_a_table_without_points(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table in (pa.table({"a": [1.0]}), pa.table({"nose_x": [1.0]}), pa.table({"n_x": ["a"], "n_y": ["b"]})):
        pq.write_table(table, tmp_path / "t.pqt")
        with pytest.raises(UserError) as caught:
            traces.read(tmp_path / "t.pqt")
        assert caught.value.code == "table.not_usable"
    with pytest.raises(UserError) as caught:
        traces.read(tmp_path / "gone.pqt")
    assert caught.value.code == "path.missing"


def test_which_table_and_which_video_belong_together(tmp_path: Path) -> None:
    video = Video(tmp_path / "M/2026-01-15/001", CAMERAS["body"])
    video.path.parent.mkdir(parents=True)
    video.path.touch()
    with pytest.raises(UserError):
        traces.table_of(video.path)
    theirs = tables.write(video.alf / "_ibl_bodyCamera.lightningPose.pqt", tables.still(3, tail_start=(1, 1, 1)))
    assert traces.table_of(video.path) == theirs and traces.video_of(theirs) == video.path
    ours = tables.write(video.table, tables.still(3, tail_start=(1, 1, 1)))
    assert traces.table_of(video.path) == ours and traces.video_of(ours) == video.path
    assert traces.video_of(tmp_path / "_ibl_bodyCamera.dlc.pqt") is None


# ------------------------------------------------------------------------------------------------- quality


def judged(tmp_path: Path, xyp: np.ndarray) -> dict:
    path = tables.write(tmp_path / "_ibl_leftCamera.dlc.pqt", {"nose_tip": xyp})
    return quality.judged(traces.read(path))["points"]["nose_tip"]


def test_what_quality_counts(tmp_path: Path) -> None:
    xyp = np.tile([100.0, 100.0, 0.99], (101, 1))
    xyp[50, 0] = 130  # there and back: two steps of 30 px
    xyp[80:90, 2] = 0.5
    xyp[90, :2] = np.nan
    found = judged(tmp_path, xyp)
    assert found["sure"] == round(90 / 101, 4) and found["missing"] == round(1 / 101, 4)
    assert found["jumps"] == round(1000 * 2 / 88, 2)
    assert len(found["course"]) == 60 and min(found["course"]) == 0


@settings(deadline=None)
@given(st.integers(0, 130))
def test_any_length(tmp_path_factory: pytest.TempPathFactory, frames: int) -> None:
    found = judged(tmp_path_factory.mktemp("q"), np.tile([1.0, 2.0, 1.0], (frames, 1)))
    assert len(found["course"]) == min(frames, 60)
    assert (found["sure"] is None) == (frames == 0) and (found["jumps"] is None) == (frames < 2)


def test_nothing_but_nan(tmp_path: Path) -> None:
    found = judged(tmp_path, np.full((10, 3), np.nan))
    assert (found["sure"], found["missing"], found["likelihood"], found["jumps"]) == (0, 1, None, None)
