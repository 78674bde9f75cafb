"""The wheel of this checkout: named by its sources, built where nobody else can replace it, once."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from roles.conftest import load


@pytest.fixture
def build_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return load("roles/iblvideo_admin/files/build_wheel.py")


def test_built_once_in_the_home(build_wheel: ModuleType, tmp_path: Path) -> None:
    old = tmp_path / ".cache/iblvideo-admin/wheels/0.0.1+old"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    wheel = build_wheel.build()
    assert tmp_path in wheel.parents and wheel.parent.name == build_wheel.name()
    assert not stat.S_IMODE(wheel.parent.stat().st_mode) & 0o022
    with zipfile.ZipFile(wheel) as archive:
        assert "iblvideo_admin/queue/schema_4.sql" in archive.namelist()
    before = wheel.stat().st_mtime_ns
    assert build_wheel.build() == wheel and wheel.stat().st_mtime_ns == before
    assert [path.name for path in wheel.parents[1].iterdir()] == [wheel.parent.name], "neither drafts nor old ones"
