"""A transfer that still runs is not picked up, whatever it does to the file's times."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from iblvideo_admin.queue import rest
from iblvideo_admin.queue.rest import FLAG, Rest
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video


@pytest.fixture
def video(tmp_path: Path) -> Video:
    video = Video(tmp_path / "KS001/2026-01-15/001", CAMERAS["left"])
    video.path.parent.mkdir(parents=True)
    video.path.write_bytes(b"some")
    return video


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The time since boot, and the clock on the wall, both as far from now as is said."""
    real, wall = rest.time.monotonic, rest.time.time

    def later(seconds: float, on_the_wall: float = 0.0) -> None:
        monkeypatch.setattr(rest.time, "monotonic", lambda: real() + seconds)
        monkeypatch.setattr(rest.time, "time", lambda: wall() + on_the_wall)

    return later


def test_it_rests_for_a_while_first(video: Video, clock: Callable[..., None]) -> None:
    seen = Rest(300)
    assert "without a raw_session.flag it is taken after 300 s" in seen.unrest(video)
    clock(299)
    assert seen.unrest(video) != ""
    clock(301)
    assert seen.unrest(video) == ""


def test_every_change_begins_anew(video: Video, clock: Callable[..., None]) -> None:
    seen = Rest(300)
    for hour in range(3):
        clock(200 * hour)
        video.path.write_bytes(b"more" * (hour + 2))
        assert seen.unrest(video) != ""
    clock(400 + 301)
    assert seen.unrest(video) == ""


def test_old_times_that_a_transfer_sets_say_nothing(video: Video) -> None:
    os.utime(video.path, (1.0, 1.0))
    assert Rest(300).unrest(video) != ""


def test_a_file_that_has_rested_long_is_taken_at_once(video: Video, clock: Callable[..., None]) -> None:
    clock(0, 301)
    assert Rest(300).unrest(video) == ""


def test_a_clock_that_was_set_back(video: Video, clock: Callable[..., None]) -> None:
    """The file is of the future: then only what was seen counts."""
    seen = Rest(300)
    clock(0, -100_000)
    assert seen.unrest(video) != ""
    clock(301, -100_000)
    assert seen.unrest(video) == ""


def test_the_flag_of_a_transfer_that_has_ended(video: Video) -> None:
    (video.session / FLAG).touch()
    assert Rest(300).unrest(video) == ""
    assert (video.session / FLAG).exists(), "it is ibllib's"


def test_what_cannot_be_looked_at_is_the_jobs_to_say(video: Video) -> None:
    video.path.unlink()
    assert Rest(300).unrest(video) == ""
