"""A lab with a stand-in Alyx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alyx_day import Day
from alyx_lab import AlyxLab
from stand_ins.alyx import Server

from iblvideo_admin.alyx import taking


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process nobody has to wait for another client's mark."""
    monkeypatch.setattr(taking, "LOOK_AGAIN_S", 0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "data").mkdir()
    with Server(tmp_path / "data") as server:
        yield server


@pytest.fixture
def alyx_lab(tmp_path: Path, server: Server) -> AlyxLab:
    return AlyxLab(tmp_path / "lab", server)


@pytest.fixture
def day(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    day = Day(alyx_lab, monkeypatch)
    yield day
    day.close()
