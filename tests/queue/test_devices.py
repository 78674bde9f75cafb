"""Where jobs may run, and why a card is left alone just now."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab, Nobody

from iblvideo_admin import toolchains
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.gpu.processes import Process
from iblvideo_admin.queue import worker
from iblvideo_admin.queue.devices import CPU, Device, Look, out_of_hours
from iblvideo_admin.queue.job import Request
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.settings import Settings, load

FIRST = Gpu(0, "GPU-a", "GTX 1080 Ti", (6, 1), 11 << 30, 0)
SECOND = replace(FIRST, index=1, uuid="GPU-b")
AMPERE = replace(FIRST, index=2, uuid="GPU-c", name="RTX 3090", capability=(8, 6))
HERE = Device("GPU-a", "0")


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(lock_dir=tmp_path, gpu_lock=tmp_path / "gpu.lock")


def look(settings: Settings, *cards: Gpu, problem: str | None = None, toolchain: str = "dlc-tf1-cuda10.0") -> Look:
    return Look(settings, toolchains.load(toolchain), Inventory(cards, "470.1", problem))


def test_a_place_for_each_card_that_the_toolchain_can_use(own: Settings) -> None:
    assert look(own, FIRST, SECOND, AMPERE).devices() == (HERE, Device("GPU-b", "1"))
    assert look(replace(own, gpus="1"), FIRST, SECOND).devices() == (Device("GPU-b", "1"),)
    assert look(own, FIRST, toolchain="dlc-tf1-cpu").devices() == (Device(CPU),)
    assert look(own, replace(FIRST, lost=True), SECOND).devices() == (Device("GPU-b", "1"),)


@pytest.mark.parametrize(
    ("cards", "problem", "said"),
    [
        ((), "Driver Not Loaded", "the driver tells of no GPU: Driver Not Loaded"),
        ((), None, "there is no GPU"),
        ((AMPERE,), None, "can use none of the GPUs 2 (RTX 3090)"),
        ((replace(FIRST, lost=True),), None, "0 (GTX 1080 Ti, lost)"),
    ],
)
def test_why_there_is_no_place(own: Settings, cards: tuple[Gpu, ...], problem: str | None, said: str) -> None:
    assert look(own, *cards, problem=problem).devices() == ()
    assert said in look(own, *cards, problem=problem).nothing()


def test_a_card_that_is_free(own: Settings) -> None:
    assert look(own, FIRST).why_not(HERE) == ""
    assert look(own, toolchain="dlc-tf1-cpu").why_not(Device(CPU)) == ""


def test_a_card_that_is_gone_or_lost(own: Settings) -> None:
    assert "does not list it any more" in look(own, SECOND).why_not(HERE)
    assert "GPU is lost" in look(own, replace(FIRST, lost=True, problem="GPU is lost")).why_not(HERE)


def test_others_who_compute_are_left_alone(own: Settings) -> None:
    def using(**about: bool) -> str:
        process = Process(4711, 3 << 30, "alice", "kilosort", **about)
        return look(own, replace(FIRST, processes=(process,))).why_not(HERE)

    assert using() == "others use it: kilosort 4711 of alice (3072 MiB)"
    assert using(graphics=True) == using(ours=True) == ""


def test_another_job_of_this_server(own: Settings) -> None:
    lease = Lease.take(own.lock_dir / "GPU-a")
    assert lease is not None
    with lease:
        assert look(own, FIRST).why_not(HERE) == "another job of this server uses it"
        assert look(own, FIRST, SECOND).why_not(Device("GPU-b", "1")) == ""
    assert look(own, FIRST).why_not(HERE) == ""


@pytest.mark.parametrize(
    ("content", "uses"),
    [
        ({"start": time.time() - 10, "name": "SpikeSorting", "time_out_secs": 7200}, True),
        ({"start": time.time() - 7300, "name": "SpikeSorting", "time_out_secs": 7200}, False),
        ({"start": datetime.now().astimezone().isoformat(), "name": "x", "time_out_secs": 7200}, True),
        (
            {"start": (datetime.now().astimezone() - timedelta(hours=3)).isoformat(), "name": "x", "time_out_secs": 60},
            False,
        ),
        ({"start": "yesterday", "time_out_secs": []}, True),
        ({}, True),
    ],
)
def test_the_lock_of_ibllib(own: Settings, content: dict, uses: bool) -> None:
    assert own.gpu_lock is not None
    own.gpu_lock.write_text(json.dumps(content))
    assert ("ibllib uses it" in look(own, FIRST).why_not(HERE)) is uses
    assert look(own, toolchain="dlc-tf1-cpu").why_not(Device(CPU)) == ""


def test_the_lock_of_ibllib_lies_in_the_home_by_itself(
    own: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".one").mkdir()
    (tmp_path / ".one/gpu.lock").write_text("{}")
    assert "ibllib uses it" in look(replace(own, gpu_lock=None), FIRST).why_not(HERE)


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_hours_by_the_minutes_of_a_day(start: int, end: int, now: int) -> None:
    def clock(minute: int) -> str:
        return f"{minute // 60:02}:{minute % 60:02}"

    moment = datetime(2026, 11, 25, now // 60, now % 60, 30, tzinfo=timezone.utc)
    inside = {(start + i) % 1440 for i in range((end - start) % 1440 or 1440)}
    assert (out_of_hours(f"{clock(start)}-{clock(end)}", moment) == "") is (now in inside)
    assert out_of_hours("always", moment) == ""


@pytest.mark.parametrize("hours", ["", "never", "7-19", "24:00-07:00", "19:00-07:60", "19:00-07:00 "])
def test_hours_that_are_none(hours: str) -> None:
    with pytest.raises(UserError) as caught:
        out_of_hours(hours, datetime.now(timezone.utc))
    assert caught.value.code == "settings.invalid"


def test_hours_keep_every_place_closed(own: Settings) -> None:
    now = datetime.now().astimezone()
    closed = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    assert "only (setting hours)" in look(replace(own, hours=closed), FIRST).why_not(HERE)


def test_a_card_that_comes_back_is_noticed_while_jobs_wait(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look for the waiting job's sake must not put off the look for other cards."""
    clock, cards = [1000.0], [FIRST]
    video = lab.video()
    settings = replace(load(lab.environment), gpu_lock=lab.folder / "gpu.lock", toolchain="dlc-tf1-cuda10.0")
    (lab.folder / "gpu.lock").write_text("{}")
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Look, "now", classmethod(lambda cls, settings: look(settings, *cards)))
    with Ledger(lab.folder / "state") as ledger:
        ledger.add(video, Request(str(video.path)))
        working = worker.Worker(ledger, settings, Nobody(), Stop(), patient=True)
        working.turn()
        assert list(working.slots) == ["GPU-a"] and "ibllib uses it" in working.reason()
        cards.append(SECOND)
        for _ in range(4):
            clock[0] += 2.5
            working.turn()
        assert sorted(working.slots) == ["GPU-a", "GPU-b"]
        del cards[0]
        clock[0] += 6
        working.turn()
        assert list(working.slots) == ["GPU-b"]
        working.leave("")
