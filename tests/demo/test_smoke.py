"""The trial of a server says pass only where the drawn mouse was found, and leaves nothing running."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lab import Lab

from iblvideo_admin.demo.smoke import run
from iblvideo_admin.queue.lease import Lease


@pytest.fixture
def server(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Its settings are in the environment, as a unit gives them; its networks find everything in the middle."""
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    return lab


def test_numbers_that_are_wrong_are_no_success(server: Lab) -> None:
    answer = run(server.folder)
    assert answer["result"] == "fail" and answer["said"].endswith("px off the truth")
    assert not list(server.folder.glob("smoke-*")) and not (server.folder / "state").exists()


def test_the_real_networks_find_the_mouse(server: Lab, dlc_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBLVIDEO_ADMIN_DLC_PYTHON", str(dlc_python))
    answer = run(server.folder)
    assert answer["result"] == "pass", answer


def test_what_process_says_is_said(server: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBLVIDEO_ADMIN_DLC_PYTHON", "/nowhere/python")
    answer = run(server.folder)
    assert answer["result"] == "fail" and answer["said"].startswith("toolchain.not_provisioned: ")


def test_a_job_that_does_not_end_is_no_busy_card(server: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_PACE_S", "100")
    monkeypatch.setenv("IBLVIDEO_ADMIN_STOP_GRACE_S", "0")
    begun = time.monotonic()
    answer = run(server.folder, limit_s=8)
    assert answer["result"] == "fail" and "did not end within 8 s" in answer["said"]
    assert time.monotonic() - begun < 40
    lease = Lease.take(server.folder / "locks/cpu")
    assert lease is not None, "its job keeps the card"
    lease.release()


def test_a_card_that_others_use_is_skipped(server: Lab) -> None:
    (server.folder / "locks").mkdir()
    lease = Lease.take(server.folder / "locks/cpu")
    assert lease is not None
    with lease:
        answer = run(server.folder, limit_s=6)
    assert answer == {"result": "skip", "said": "no card was free within 6 s"}
