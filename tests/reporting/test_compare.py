"""Two tables of one video: figures, verdict, the worst frames, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lab import Lab
from PIL import Image
from reporting import tables

from iblvideo_admin.errors import UserError
from iblvideo_admin.reporting import traces
from iblvideo_admin.reporting.comparison import Tolerances, compare

NAME = "_ibl_leftCamera.dlc.pqt"


def both(folder: Path, old: dict[str, np.ndarray], new: dict[str, np.ndarray], name: str = NAME) -> dict[str, Any]:
    paths = [tables.write(folder / which / name, points) for which, points in (("old", old), ("new", new))]
    return compare(*map(traces.read, paths), Tolerances())


@settings(deadline=None)
@given(st.floats(0, 30), st.floats(0, 6.28))
def test_a_shift_is_measured_and_judged(tmp_path_factory: pytest.TempPathFactory, by: float, angle: float) -> None:
    assume(min(abs(by - 2), abs(by - 20)) > 1e-6)
    old = tables.still(50, nose_tip=(300, 300, 1), paw_l=(400, 500, 1))
    new = {name: xyp + np.array([by * np.cos(angle), by * np.sin(angle), 0]) for name, xyp in old.items()}
    found = both(tmp_path_factory.mktemp("c"), old, new)
    for point in found["points"]:
        assert point["median"] == pytest.approx(by, abs=1e-9) == point["p95"] == point["largest"]
        assert point["dx"] == pytest.approx(by * np.cos(angle), abs=1e-9)
    nose, paw = (bool(point["beyond"]) for point in found["points"])
    assert nose == (by > 2) and paw == (by > 20), "a paw's network sees a tenth of the pixels"
    assert found["verdict"] == ("fail" if by > 2 else "pass")


def test_pixels_of_the_right_cameras_networks_are_half_as_large(tmp_path: Path) -> None:
    old = tables.still(50, nose_tip=(300, 300, 1))
    found = both(tmp_path, old, {"nose_tip": old["nose_tip"] + np.array([1.5, 0, 0])}, "_ibl_rightCamera.dlc.pqt")
    assert found["points"][0]["scale"] == 0.5 and found["verdict"] == "fail"


def test_the_same_is_the_same(tmp_path: Path) -> None:
    same = tables.still(9, nose_tip=(1, 2, 0.95))
    found = both(tmp_path, same, same)
    assert found["verdict"] == "pass" and found["worst"] == [] and found["wrong"] == []


def test_what_only_one_is_sure_of(tmp_path: Path) -> None:
    old, new = tables.still(100, nose_tip=(1, 2, 0.95)), tables.still(100, nose_tip=(1, 2, 0.95))
    new["nose_tip"][:6, 2] = 0.2
    new["nose_tip"][6:9, :2] = np.nan
    found = both(tmp_path, old, new)
    assert found["points"][0]["only_old"] == 0.09 and found["points"][0]["frames"] == 91
    assert found["verdict"] == "fail" and "9.0 %" in found["wrong"][0]


def test_other_rows_and_other_points(tmp_path: Path) -> None:
    found = both(tmp_path, tables.still(10, a=(1, 1, 1), b=(1, 1, 1)), tables.still(9, a=(1, 1, 1), c=(1, 1, 1)))
    assert found["verdict"] == "fail"
    assert found["wrong"] == ["only the old table has b", "only the new table has c",
                              "the old table has 10 rows, the new one 9"]  # fmt: skip
    with pytest.raises(UserError) as caught:
        both(tmp_path, tables.still(1, a=(1, 1, 1)), tables.still(1, b=(1, 1, 1)))
    assert caught.value.code == "table.not_usable"


def test_never_sure_is_unknown(tmp_path: Path) -> None:
    unsure = tables.still(10, a=(1, 1, 0.1))
    assert both(tmp_path, unsure, unsure)["verdict"] == "unknown"
    empty = tables.still(0, a=(1, 1, 1))
    assert both(tmp_path, empty, empty)["verdict"] == "unknown"


def test_the_worst_frames_are_moments_of_their_own(tmp_path: Path) -> None:
    old, new = tables.still(400, a=(50, 50, 1), b=(50, 50, 1)), tables.still(400, a=(50, 50, 1), b=(50, 50, 1))
    new["a"][100:110, 0] += np.arange(30, 40)
    new["b"][300, 1] -= 7
    assert both(tmp_path, old, new)["worst"] == [
        {"frame": 109, "point": "a", "px": 39.0}, {"frame": 300, "point": "b", "px": 7.0}
    ]  # fmt: skip


def test_the_command(lab: Lab) -> None:
    video = lab.video("left", 60)
    new = tables.write(video.table, tables.still(60, nose_tip=(400, 500, 1), paw_l=(3, 3, 1)))
    moved = tables.still(60, nose_tip=(400, 500, 1), paw_l=(3, 3, 1))
    moved["nose_tip"][20, :2] = (1279, 1023)
    old = tables.write(lab.folder / "theirs" / NAME, moved)
    page = lab.folder / "worst.png"
    document = lab.json("compare", old, new, "--pictures", page)
    assert document["exit_code"] == 0 and document["data"]["verdict"] == "pass"
    assert Image.open(page).size[0] > 400
    assert lab.json("compare", old, new, "--median", "0", "--p95", "0", "--unsure", "0")["exit_code"] == 0
    moved["nose_tip"][:, 0] += 5
    tables.write(old, moved)
    done = lab.run("compare", old, new)
    assert done.returncode == 1 and "compare: fail" in done.stdout and "TOO FAR" in done.stdout
    assert lab.json("compare", old, lab.folder / "none")["errors"][0]["code"] == "path.missing"
    elsewhere = tables.write(lab.folder / "x" / NAME, tables.still(60, nose_tip=(400, 500, 1)))
    document = lab.json("compare", old, elsewhere, "--pictures", page)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "path.missing")
