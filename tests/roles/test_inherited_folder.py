"""What is made below somebody's home is that person's."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

SOMEBODY = (12345, 23456)


def owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o750)
    if os.geteuid() == 0:
        os.chown(folder, *SOMEBODY)
    return folder


def test_what_is_missing_belongs_to_whom_the_nearest_belongs(inherited_folder: ModuleType, home: Path) -> None:
    wanted = [home / "Documents/PYTHON/envs", home / "Documents/bin"]
    paths = [home / "Documents", home / "Documents/PYTHON", wanted[0], wanted[1]]
    told = {"changed": True, "made": [str(path) for path in paths]}
    assert inherited_folder.run(map(str, wanted), True) == told and not paths[0].exists()
    before = os.umask(0o022)
    try:
        assert inherited_folder.run(map(str, wanted), False) == told
    finally:
        os.umask(before)
    assert {owner(path) for path in paths} == {owner(home)}
    assert {path.stat().st_mode & 0o7777 for path in paths} == {0o755}
    assert inherited_folder.run(map(str, wanted), False) == {"changed": False, "made": []}


def test_what_is_there_is_left_as_it_is(inherited_folder: ModuleType, home: Path) -> None:
    (home / "Documents").mkdir(mode=0o700)
    before = owner(home / "Documents")
    inherited_folder.run([str(home / "Documents/envs")], False)
    assert owner(home / "Documents") == before == owner(home / "Documents/envs")
    assert (home / "Documents").stat().st_mode & 0o7777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root gives folders to others")
def test_another_in_its_place_is_not_given_away(
    inherited_folder: ModuleType, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner swaps what root has just made for something of root's."""
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots/file").write_text("secret")
    made = os.mkdir

    def swapping(replacement: str) -> None:
        def mkdir(name: str, mode: int, dir_fd: int) -> None:
            made(name, mode, dir_fd=dir_fd)
            os.rmdir(name, dir_fd=dir_fd)
            if replacement == "link":
                os.symlink(tmp_path / "roots", name, dir_fd=dir_fd)
            else:
                os.rename(tmp_path / "roots", name, dst_dir_fd=dir_fd)

        monkeypatch.setattr(inherited_folder.os, "mkdir", mkdir)

    swapping("link")
    with pytest.raises(NotADirectoryError):
        inherited_folder.run([str(home / "first")], False)
    assert owner(tmp_path / "roots") == (0, 0)
    swapping("folder")
    inherited_folder.run([str(home / "second")], False)
    assert owner(home / "second") == (0, 0) == owner(home / "second/file")


def test_a_file_in_the_way_is_said(inherited_folder: ModuleType, home: Path) -> None:
    (home / "Documents").write_text("a file")
    with pytest.raises(OSError, match=f"{home}/Documents is in the way"):
        inherited_folder.run([str(home / "Documents/envs")], False)
