"""The delivered table: its form, and that nothing is ever lost or half-written on the way."""

import errno
import hashlib
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iblvideo_admin.errors import UserError
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table

FRAMES = 50
PROVENANCE = {"schema": 1, "software": {"engine": "fake"}, "warnings": []}


@pytest.fixture
def video(session_video: Callable[..., Video]) -> Video:
    video = session_video("left")
    table.prepare(video)
    return video


def some_points(names: tuple[str, ...], seed: int = 0, frames: int = FRAMES) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(0, 1, (frames, 3)) for name in names}


def deliver(video: Video, seed: int = 0, *, replace: bool = False, frames: int = FRAMES) -> str:
    return table.deliver(video, [some_points(video.camera.points, seed, frames)], PROVENANCE, replace=replace)


def files_of(video: Video) -> set[str]:
    return {str(path.relative_to(video.alf)) for path in video.alf.rglob("*") if not path.is_dir()}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --------------------------------------------------------------------------------------------- its form


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


# --------------------------------------------------------------------------------------------- never overwritten


@pytest.mark.parametrize("what", ["file", "dead link", "folder"])
def test_an_existing_table_is_never_touched(video: Video, what: str) -> None:
    if what == "file":
        video.table.write_bytes(b"made by somebody else")
    elif what == "dead link":
        video.table.symlink_to("elsewhere.pqt")
    else:
        video.table.mkdir()
    before = video.table.lstat()
    with pytest.raises(FileExistsError):
        deliver(video)
    after = video.table.lstat()
    assert (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size)
    assert files_of(video) - {"_ibl_leftCamera.dlc.pqt"} == set()


def no_links(monkeypatch: pytest.MonkeyPatch, number: int = errno.EPERM) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_links(video: Video, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    no_links(monkeypatch, number)
    digest = deliver(video)
    with pytest.raises(FileExistsError):
        deliver(video, 1)
    assert sha256(video.table) == digest
    deliver(video, 1, replace=True)
    [kept] = (video.work / "replaced").glob("*/*.pqt")
    assert sha256(kept) == digest


def test_replacing_keeps_the_old(video: Video) -> None:
    first = deliver(video)
    second = deliver(video, 1, replace=True)
    assert first != second == sha256(video.table)
    [kept] = (video.work / "replaced").glob("*/*.pqt")
    assert kept.name == "_ibl_leftCamera-dlc.pqt" and sha256(kept) == first
    assert json.loads((kept.parent / "left-provenance.json").read_text())["table"]["sha256"] == first
    assert json.loads(video.provenance.read_text())["table"]["sha256"] == second


def test_replacing_twice_in_one_second_keeps_both(video: Video) -> None:
    digests = [deliver(video, seed, replace=True) for seed in range(4)]
    kept = {sha256(path) for path in (video.work / "replaced").glob("*/*.pqt")}
    assert kept == set(digests[:3]) and sha256(video.table) == digests[3]


def test_replacing_a_link_keeps_the_link_and_what_it_means(video: Video) -> None:
    target = video.session / "elsewhere.pqt"
    target.write_bytes(b"of somebody else")
    video.table.symlink_to(target)
    deliver(video, replace=True)
    assert target.read_bytes() == b"of somebody else"
    assert not video.table.is_symlink()
    [kept] = (video.work / "replaced").glob("*/*.pqt")
    assert kept.read_bytes() == b"of somebody else"


def test_replacing_where_there_is_nothing(video: Video) -> None:
    deliver(video, replace=True)
    assert not (video.work / "replaced").exists()


# --------------------------------------------------------------------------------------------- failures


@pytest.fixture
def old(video: Video) -> str:
    """An old table's digest."""
    return deliver(video, 9)


def failed(code: str, video: Video, old: str, **options: Any) -> None:
    before = files_of(video)
    with pytest.raises(UserError) as caught:
        deliver(video, replace=True, **options)
    assert caught.value.code == code
    assert str(video.alf) in caught.value.message
    assert sha256(video.table) == old
    assert json.loads(video.provenance.read_text())["table"]["sha256"] == old
    assert files_of(video) == before


def test_no_room_when_syncing(video: Video, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    failed("disk.full", video, old)


def test_no_room_when_writing(video: Video, old: str) -> None:
    """/dev/full is a file on a full disk."""
    (video.work / "left-table.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError) as caught:
        deliver(video, replace=True)
    assert caught.value.code == "disk.full"
    assert sha256(video.table) == old and "left-table.tmp" not in os.listdir(video.work)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 8 kB: writing stops in the middle of the table."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_writing_stops_in_the_middle(video: Video, old: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("small_files")
    failed("output.not_writable", video, old, frames=20_000)


def test_no_room_for_the_copy_of_the_provenance(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    """The readable copy is written first: a table that is in place is a finished job."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(table, "write_json", full)
    with pytest.raises(UserError):
        deliver(video)
    assert files_of(video) == set()


def test_a_killed_process_leaves_no_name(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(table, "sync", killed)
    with pytest.raises(Killed):
        deliver(video)
    assert not video.table.exists()


# --------------------------------------------------------------------------------------------- before the work


def refused(video: Video) -> str:
    with pytest.raises(UserError) as caught:
        table.prepare(video)
    assert caught.value.code == "output.not_writable"
    assert str(video.alf) in caught.value.message
    return caught.value.message


def test_prepare_cleans_what_a_crash_left(session_video: Callable[..., Video]) -> None:
    video = session_video("left")
    video.work.mkdir(parents=True)
    mine = {"left-table.tmp", "left-provenance.tmp", "left-provenance", "left-probe.tmp"}
    others = {"right-table.tmp", "left.provenance.json", "body.tmp"}
    for name in mine | others:
        (video.work / name).write_text("x")
    table.prepare(video)
    assert set(os.listdir(video.work)) == others


@pytest.mark.parametrize("where", ["alf", "work"])
@pytest.mark.parametrize("what", ["file", "dead link", "loop"])
def test_prepare_where_a_folder_is_something_else(session_video: Callable[..., Video], where: str, what: str) -> None:
    """FileExistsError is the word for a table that is there: it must not come from anything else."""
    video = session_video("left")
    path = {"alf": video.alf, "work": video.work}[where]
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "file":
        path.write_text("a file")
    else:
        path.symlink_to("nowhere" if what == "dead link" else path.name)
    refused(video)


def test_prepare_in_a_read_only_session(session_video: Callable[..., Video], monkeypatch: pytest.MonkeyPatch) -> None:
    video = session_video("left")
    video.alf.mkdir()
    video.alf.chmod(0o555)
    if os.access(video.alf, os.W_OK):  # root may write everywhere: a read-only file system refuses it too

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(Path, "mkdir", refuse)
    refused(video)
    video.alf.chmod(0o755)


def test_deliver_where_the_folder_became_read_only(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError) as caught:
        deliver(video)
    assert caught.value.code == "output.not_writable"
    assert files_of(video) == set()
