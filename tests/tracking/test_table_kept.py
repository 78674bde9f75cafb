"""A table that exists is never touched, and what fails while one is written leaves what was."""

import errno
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tracking.tables import deliver, files_of, sha256

from iblvideo_admin.errors import UserError
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table


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
