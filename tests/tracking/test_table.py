"""The delivered table: its form, and that nothing is ever lost or half-written on the way."""

import json
import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tracking.tables import FRAMES, PROVENANCE, deliver, files_of, sha256, some_points

from iblvideo_admin.errors import UserError
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table


def test_columns(video: Video) -> None:
    deliver(video)
    content = pq.read_table(video.table)
    wanted = [f"{point}_{what}" for point in video.camera.points for what in ("x", "y", "likelihood")]
    assert content.column_names == wanted and content.num_rows == FRAMES
    assert wanted[:4] == ["nose_tip_x", "nose_tip_y", "nose_tip_likelihood", "pupil_top_r_x"]
    assert set(content.schema.types) == {pa.float64()}
    for name, values in some_points(video.camera.points).items():
        for index, what in enumerate(("x", "y", "likelihood")):
            np.testing.assert_array_equal(content[f"{name}_{what}"].to_numpy(), values[:, index])


def test_columns_are_those_of_the_camera(video: Video) -> None:
    assert table.columns(video.camera)[:4] == ["nose_tip_x", "nose_tip_y", "nose_tip_likelihood", "pupil_top_r_x"]
    assert len(table.columns(video.camera)) == 33


def test_float32_becomes_float64(video: Video) -> None:
    points = {name: np.full((3, 3), 0.1, np.float32) for name in video.camera.points}
    table.deliver(video, [points], PROVENANCE, replace=False)
    content = pq.read_table(video.table)
    assert set(content.schema.types) == {pa.float64()}
    assert content["nose_tip_x"].to_pylist() == [float(np.float32(0.1))] * 3


@pytest.mark.parametrize("rows", [[50], [1, 49], [20, 20, 10]])
def test_blocks_leave_no_seam(video: Video, rows: list[int]) -> None:
    points, ends = some_points(video.camera.points), np.cumsum(rows)
    blocks = ({name: v[end - n : end] for name, v in points.items()} for n, end in zip(rows, ends, strict=True))
    table.deliver(video, blocks, PROVENANCE, replace=False)
    content = pq.read_table(video.table)
    assert pq.read_metadata(video.table).num_row_groups == len(rows)
    assert table.provenance_of(video.table) == PROVENANCE
    for name, values in points.items():
        for index, what in enumerate(("x", "y", "likelihood")):
            np.testing.assert_array_equal(content[f"{name}_{what}"].to_numpy(), values[:, index])


def test_what_makes_the_blocks_may_fail(video: Video) -> None:
    def blocks() -> Iterator[dict[str, np.ndarray]]:
        yield some_points(video.camera.points)
        raise UserError("engine.crashed", "it died")

    with pytest.raises(UserError, match="it died"):
        table.deliver(video, blocks(), PROVENANCE, replace=False)
    assert files_of(video) == set()


def test_pandas_reads_it(video: Video) -> None:
    pandas = pytest.importorskip("pandas")
    deliver(video)
    frame = pandas.read_parquet(video.table)
    assert frame.shape == (FRAMES, 33) and (frame.dtypes == "float64").all()
    assert list(frame.index) == list(range(FRAMES))


def test_the_provenance_is_in_the_table_and_beside_it(video: Video) -> None:
    digest = deliver(video)
    assert digest == sha256(video.table)
    assert table.provenance_of(video.table) == PROVENANCE
    beside = json.loads(video.provenance.read_text())
    assert beside == {**PROVENANCE, "table": {"name": "_ibl_leftCamera.dlc.pqt", "sha256": digest}}
    assert files_of(video) == {"_ibl_leftCamera.dlc.pqt", ".iblvideo-admin/left.provenance.json"}


def test_a_table_of_others_has_no_provenance(video: Video) -> None:
    pq.write_table(pa.table({"nose_tip_x": [1.0]}), video.table)
    assert table.provenance_of(video.table) is None


def test_one_finds_one_table(video: Video) -> None:
    """ONE looks into hidden folders: neither a replaced table nor a temporary file may be a dataset to it."""
    io = pytest.importorskip("one.alf.io", reason="SKIPPED: ONE is not installed here")
    for seed in range(3):
        deliver(video, seed, replace=True)
    left_behind = {"left-table.tmp", "left-provenance.tmp", "left-provenance", "left-probe.tmp"}
    for name in left_behind:
        (video.work / name).write_bytes(b"left behind")
    assert len(list((video.work / "replaced").glob("*/*.pqt"))) == 2
    datasets = {str(path) for path in io.iter_datasets(video.session)}
    # the readable provenance has a dataset's form, but the name of none: it is nobody's camera
    assert datasets - {"alf/.iblvideo-admin/left.provenance.json"} == {"alf/_ibl_leftCamera.dlc.pqt"}
    assert [str(path) for path in io.filter_by(video.alf)[0]] == ["_ibl_leftCamera.dlc.pqt"]


def test_temporary_names_are_those_that_were_tried_above(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    original = os.fsync

    def look(descriptor: int) -> None:
        seen.update(os.listdir(video.work))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    deliver(video)
    assert seen - {"left.provenance.json"} == {"left-table.tmp", "left-provenance.tmp", "left-provenance"}
