"""A version of the weights as a folder: unpacked safely, installed whole, the same to the role and to the command."""

from __future__ import annotations

import importlib.util
import stat
import zipfile
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import ROOT, make_weights

from iblvideo_admin.engines import weights_tree
from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import NETWORKS


def role() -> ModuleType:
    """The role's own module."""
    path = ROOT / "roles/weights/library/weights_tree.py"
    spec = importlib.util.spec_from_file_location("role_weights_tree", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def zipped(folder: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, str(Path(top) / path.relative_to(folder)))
    return archive


@pytest.mark.parametrize("top", ["", "weights_v2.2"])
def test_what_the_command_installs_is_what_the_role_would(tmp_path: Path, top: str) -> None:
    archive = zipped(make_weights(tmp_path / "made"), tmp_path / "w.zip", top)
    dest = tmp_path / "all/weights_v2.2"
    dest.parent.mkdir()
    tree = weights_tree.install(archive, dest, "f" * 64)
    assert not tree.problem and weights_tree.look(dest, thorough=True) == tree
    theirs = role().installed(str(dest))
    assert theirs["intact"] and (theirs["fingerprint"], theirs["archive_sha256"]) == (tree.fingerprint, "f" * 64)
    assert stat.S_IMODE((dest / "nose_tip-mic-2020-01-01/config.yaml").stat().st_mode) == 0o644
    assert [path.name for path in dest.parent.iterdir()] == ["weights_v2.2"]


def test_what_was_changed_since_is_found(tmp_path: Path) -> None:
    dest = tmp_path / "weights_v2.2"
    weights_tree.install(zipped(make_weights(tmp_path / "made"), tmp_path / "w.zip"), dest, "")
    snapshot = next(dest.rglob("snapshot-5.data-*"))
    snapshot.write_bytes(b"dat")
    assert not weights_tree.look(dest).problem
    assert weights_tree.look(dest, thorough=True).problem == "its files are not those that were installed"
    snapshot.unlink()
    assert "missing" in weights_tree.look(dest).problem


def test_a_newer_archive_takes_the_place_of_an_older_and_of_nothing_else(tmp_path: Path) -> None:
    dest = tmp_path / "weights_v2.2"
    archive = zipped(make_weights(tmp_path / "made"), tmp_path / "w.zip")
    dest.mkdir()
    (dest / "mine").touch()
    with pytest.raises(UserError) as error:
        weights_tree.install(archive, dest, "")
    assert error.value.code == "weights.taken" and (dest / "mine").exists()
    (dest / "mine").unlink()
    dest.rmdir()
    for _ in range(2):
        assert not weights_tree.install(archive, dest, "").problem


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "..\\x", "C:/x", "a/..", "\\x", "nose_tip-x/../../../y"]
)
def test_no_member_leaves_the_folder(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "w.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("nose_tip-x/config.yaml", "")
        file.writestr(zipfile.ZipInfo(name), "evil")
    with pytest.raises(UserError) as error:
        weights_tree.unpack(archive, tmp_path / "in/out")
    assert error.value.code == "weights.damaged" and not (tmp_path / "in").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_no_member_is_anything_but_a_file(tmp_path: Path, kind: int) -> None:
    archive = tmp_path / "w.zip"
    member = zipfile.ZipInfo("nose_tip-x/config.yaml")
    member.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(member, "/etc/passwd")
    with pytest.raises(UserError) as error:
        weights_tree.unpack(archive, tmp_path / "out")
    assert error.value.code == "weights.damaged" and not (tmp_path / "out").exists()


def test_an_archive_that_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "w.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("nose_tip-x/zeros", bytes(5_000_000))
    monkeypatch.setattr(weights_tree, "MOST_BYTES", 1_000_000)
    with pytest.raises(UserError) as error:
        weights_tree.unpack(archive, tmp_path / "out")
    assert error.value.code == "weights.damaged" and "far more" in error.value.message


@settings(deadline=None, max_examples=15)
@given(st.binary(max_size=300), st.integers(0, 2000))
def test_a_damaged_archive_is_a_sentence(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("weights")
    archive = zipped(make_weights(folder / "made"), folder / "w.zip")
    whole = archive.read_bytes()
    archive.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    with suppress(UserError):  # anything else would be a trace
        weights_tree.install(archive, folder / "weights_v2.2", "")
    dest = folder / "weights_v2.2"
    assert not dest.exists() or not weights_tree.look(dest, thorough=True).problem
    assert not list(folder.glob(".weights*"))


def test_only_versions_are_listed(tmp_path: Path) -> None:
    dest = tmp_path / "weights_v2.2"
    weights_tree.install(zipped(make_weights(tmp_path / "made"), tmp_path / "w.zip"), dest, "")
    (tmp_path / "current").symlink_to("weights_v2.2")
    (tmp_path / "other").mkdir()
    assert [tree.name for tree in weights_tree.trees(tmp_path / "current")] == ["made", "weights_v2.2"]
    assert weights_tree.trees(tmp_path / "nowhere/current") == []
    assert len(NETWORKS) == 6
