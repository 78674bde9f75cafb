"""Files that are never half-written."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from iblvideo_admin import files


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_json_comes_back(tmp_path: Path) -> None:
    content = {"a": 1, "b": [1.5, None], "c": "é\nü"}
    files.write_json(tmp_path / "x.json", content)
    assert files.read_json(tmp_path / "x.json") == content
    assert names(tmp_path) == {"x.json"}


def test_a_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    files.write_json(path, {"old": True})
    with pytest.raises(TypeError):
        files.write_json(path, {"new": object()})
    assert files.read_json(path) == {"old": True}
    assert names(tmp_path) == {"x.json"}


def test_a_full_disk_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    files.write_json(path, {"old": True})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_json(path, {"new": True})
    assert files.read_json(path) == {"old": True}
    assert names(tmp_path) == {"x.json"}


def test_the_content_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    there: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: there.append(path.exists()))
    files.write_json(path, {})
    assert there == [False, True]  # the file before the rename, the folder after it


def test_folders_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems answer EINVAL to a sync of a folder: no reason to call the write a failure."""

    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    files.sync_folder(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"a": 1', b"[" * 200_000],
    ids=["empty", "cut", "list", "null", "no utf-8", "cut later", "too deep"],
)
def test_damaged_json_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert files.read_json(path) is None


def test_missing_json_is_none(tmp_path: Path) -> None:
    assert files.read_json(tmp_path / "none.json") is None
    assert files.read_json(tmp_path) is None


def test_hints_never_fail(tmp_path: Path) -> None:
    files.write_hint(tmp_path / "x.json", {"done": 1})
    assert files.read_json(tmp_path / "x.json") == {"done": 1}
    files.write_hint(tmp_path / "no folder" / "x.json", {"done": 2})
    (tmp_path / "folder.json").mkdir()
    files.write_hint(tmp_path / "folder.json", {"done": 2})
    assert names(tmp_path) == {"folder.json", "x.json"}


def test_a_hint_for_which_there_is_no_room_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    files.write_hint(tmp_path / "x.json", {"done": 1})
    assert not names(tmp_path)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_sha256(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "x").write_bytes(content[:size])
    assert files.sha256(tmp_path / "x") == hashlib.sha256(content[:size]).hexdigest()
