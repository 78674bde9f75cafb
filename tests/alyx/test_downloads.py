"""Raw videos that are not here: fetched in time, checked, put into place, and taken away only where they are ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alyx_day import Day
from alyx_lab import AlyxLab
from stand_ins.alyx.world import data_path

from iblvideo_admin.alyx import fetching
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError

VIDEO = os.urandom(200_000)
ALLOWED = {"IBLVIDEO_ADMIN_ALYX_DOWNLOADS": "true", "IBLVIDEO_ADMIN_ALYX_KEEP_DOWNLOADS": "false"}


@pytest.fixture
def day(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    day = Day(alyx_lab, monkeypatch, **ALLOWED, IBLVIDEO_ADMIN_ALYX_LIMIT_S="0.5")
    yield day
    day.close()


def remote(day: Day, subject: str, camera: str = "left", content: bytes = VIDEO) -> tuple[str, str]:
    """A task whose video only the data server has; gives the task and the dataset."""
    world = day.lab.world
    session = world.session(subject)
    task = world.pipeline(session)[1]
    dataset = world.dataset(session, f"_iblrig_{camera}Camera.raw.mp4", content, collection="raw_video_data")
    path = day.lab.server.data / data_path(world, world.datasets[dataset]["file_records"][1], dataset)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return task, dataset


def come(day: Day, rounds: int = 60) -> None:
    """Looks until jobs are there, or the task is done."""
    for _ in range(rounds):
        day.look()
        if day.ledger.jobs() or not day.book.tasks("claiming", "preparing"):
            return
        time.sleep(0.05)
    raise AssertionError("nothing came")


def test_a_video_is_fetched_checked_tracked_and_removed(day: Day) -> None:
    task, _ = remote(day, "KS001")
    video = day.lab.at("KS001", "left")
    come(day)
    assert video.path.read_bytes() == VIDEO and [path.name for path in video.path.parent.iterdir()] == [video.path.name]
    day.pass_()
    assert day.lab.world.status(task) == "Complete"
    day.look()
    assert not video.path.exists() and video.table.exists()


def test_without_leave_nothing_is_fetched(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(alyx_lab, monkeypatch)
    task, _ = remote(day, "KS001")
    day.pass_()
    assert day.lab.world.status(task) == "Empty" and "alyx_downloads is false" in day.lab.world.tasks[task]["log"]
    assert not day.lab.server.data_faults.requests
    day.close()


def test_only_our_own_downloads_are_ever_removed(day: Day) -> None:
    """What was there before, what was written over since, and what somebody else put there stay."""
    day.mouse("KS001", "left")
    remote(day, "KS002")
    come(day)
    for _ in range(60):
        day.look()
        day.work()
        if len(day.lab.tables()) == 2:
            break
        time.sleep(0.05)
    other = day.lab.at("KS002", "left").path
    other.unlink()
    other.write_bytes(VIDEO)  # the same content: but not the file that we fetched
    for _ in range(3):
        day.look()
    assert day.lab.at("KS001", "left").path.exists() and other.exists()


@pytest.mark.parametrize("how", ["cut", "close", "hang", "503", "502 html", "drip", "500"])
def test_a_data_server_in_trouble_is_asked_again_and_stops_nothing_else(day: Day, how: str) -> None:
    day.lab.server.data_faults.add(how, times=2, skip=1, after=how == "cut", seconds=2)
    task, _ = remote(day, "KS001")
    other = day.mouse("KS002", "body")[1][1]
    until = time.monotonic() + 40
    while day.lab.world.status(task) != "Complete" and time.monotonic() < until:
        day.look()
        day.work()
        time.sleep(0.05)
    assert (day.lab.world.status(task), day.lab.world.status(other)) == ("Complete", "Complete")


@pytest.mark.parametrize("wrong", ["shorter", "other content"])
def test_a_damaged_file_never_gets_its_name(day: Day, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONE gives it out under its final name, without a word."""
    task, dataset = remote(day, "KS001")
    path = next(path for path in day.lab.server.data.rglob("*.mp4"))
    path.write_bytes(VIDEO[:1000] if wrong == "shorter" else VIDEO[:-1] + b"x")
    until = time.monotonic() + 40
    while day.lab.world.status(task) == "Waiting" or day.book.tasks("claiming", "preparing"):
        assert time.monotonic() < until
        day.look()
        day.drain._fetcher._retries.forget_times()
        time.sleep(0.02)
    day.pass_()
    assert day.lab.world.status(task) == "Errored" and "download.damaged" in day.lab.world.tasks[task]["log"]
    assert not day.lab.at("KS001", "left").path.exists() and dataset


def test_a_file_that_is_not_on_the_server_is_a_missing_video(day: Day) -> None:
    task, _ = remote(day, "KS001")
    next(path for path in day.lab.server.data.rglob("*.mp4")).unlink()
    come(day)
    day.pass_()
    assert day.lab.world.status(task) == "Empty" and "404" in day.lab.world.tasks[task]["log"]


def test_the_login_is_sent_to_the_data_server_alone(day: Day) -> None:
    from iblvideo_admin.alyx.downloads import source

    server = day.drain.client.one.data_server()[0]
    assert source(day.drain.client, f"{server}/x")._login == day.lab.server.data_login
    for other in (f"{server}.evil.example/x", "http://127.0.0.1:1/x", server.replace("http", "https") + "/x"):
        assert source(day.drain.client, other)._login is None


def test_no_room(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = remote(day, "KS001")
    usage = fetching.shutil.disk_usage
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage(path)._replace(free=1000))
    until = time.monotonic() + 20
    while not any("are free" in note for note in day.drain.notes):
        assert time.monotonic() < until
        day.look()
        time.sleep(0.05)
    monkeypatch.setattr(fetching.shutil, "disk_usage", usage)
    day.drain._fetcher._retries.forget_times()
    come(day)
    day.pass_()
    assert day.lab.world.status(task) == "Complete"


def test_a_fetch_that_broke_off_goes_on_where_it_was(alyx_lab: AlyxLab, tmp_path: Path) -> None:
    server, target = alyx_lab.server, tmp_path / "x.tmp"
    (server.data / "x").write_bytes(VIDEO)
    source = fetching.Http(f"{server.data_url}/x", *server.data_login)
    server.data_faults.add("cut", after=True)
    with pytest.raises(TroubleError):
        fetching.fetch(source, target, limit_s=1)
    assert 0 < target.stat().st_size < len(VIDEO)
    fetching.fetch(source, target, limit_s=1)
    assert target.read_bytes() == VIDEO and server.ranges[-1].startswith("bytes=")
    fetching.fetch(source, target, limit_s=1)
    assert target.read_bytes() == VIDEO


def test_a_file_that_changed_meanwhile_is_fetched_anew(alyx_lab: AlyxLab, tmp_path: Path) -> None:
    server, target = alyx_lab.server, tmp_path / "x.tmp"
    (server.data / "x").write_bytes(VIDEO)
    source = fetching.Http(f"{server.data_url}/x", *server.data_login)
    server.data_faults.add("cut", after=True)
    with pytest.raises(TroubleError):
        fetching.fetch(source, target, limit_s=1)
    (server.data / "x").write_bytes(VIDEO[::-1])
    fetching.fetch(source, target, limit_s=1)
    assert target.read_bytes() == VIDEO[::-1]


def test_a_full_disk_is_a_sentence(alyx_lab: AlyxLab, tmp_path: Path) -> None:
    (alyx_lab.server.data / "x").write_bytes(VIDEO)
    source = fetching.Http(f"{alyx_lab.server.data_url}/x", *alyx_lab.server.data_login)
    with pytest.raises(UserError) as error:
        fetching.fetch(source, tmp_path / "x.tmp", limit_s=1, free_bytes=1e18)
    assert error.value.code == "disk.full"
