"""cuDNN's archive: only its headers and libraries arrive, whole, readable, and of the version that was asked for."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stand_ins.provision import cudnn_archive
from stand_ins.provision.cudnn_archive import CUDNN_7_6_5, CUDNN_8_6_0, HOSTILE, Release

MARKER = ".iblvideo-admin.json"
REFUSED = {
    "parent",
    "parent inside",
    "absolute",
    "absolute link",
}  # what else is hostile is no name of cuDNN's: left out
RELEASES = pytest.mark.parametrize("release", [CUDNN_7_6_5, CUDNN_8_6_0], ids=lambda release: release.version)

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="SKIPPED: there is no C compiler to make stubs with")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "local/cuda-10.0"
    for name in ("lib64", "include"):
        (folder / name).mkdir(parents=True)
    (folder / "lib64/libcudart.so.10.0").write_text("not cuDNN's")
    (folder / MARKER).write_text('{"state": "installed"}')
    return folder


def given(root: Path, archive: Path | None = None, release: Release = CUDNN_7_6_5) -> dict[str, Any]:
    library = f"libcudnn.so.{release.numbers[0]}"
    return {"root": str(root), "library": library, "number": release.number, "archive": str(archive) if archive else ""}


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


@RELEASES
def test_only_headers_and_libraries_arrive(cudnn_tree: ModuleType, root: Path, tmp_path: Path, release) -> None:
    archive = cudnn_archive.make(tmp_path / "archives", release)
    assert not cudnn_tree.look(given(root, None, release))["matches"]
    before = os.umask(0o077)
    try:
        cudnn_tree.unpack(given(root, archive, release))
    finally:
        os.umask(before)
    looked = cudnn_tree.look(given(root, None, release))
    assert looked["matches"] and looked["header"] == looked["loaded"] == release.number and not looked["foreign"]
    assert all("cudnn" in name for name in below(root) - {"lib64/libcudart.so.10.0", MARKER})
    assert not any("LICENSE" in name or "SLA" in name for name in below(root))
    major, version = release.numbers[0], release.version.rsplit(".", 1)[0]
    assert str((root / "lib64/libcudnn.so").readlink()) == f"libcudnn.so.{major}"
    assert str((root / f"lib64/libcudnn.so.{major}").readlink()) == f"libcudnn.so.{version}"
    for path in [root / name for name in below(root)]:
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid()), "NVIDIA's own numbers are nobody's here"
        assert path.is_symlink() or status.st_mode & 0o444 == 0o444
        assert status.st_mode & 0o7000 == 0


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_does_no_harm(cudnn_tree: ModuleType, root: Path, tmp_path: Path, kind: str) -> None:
    archive = cudnn_archive.make(tmp_path / "archives", hostile=[kind])

    def outside() -> set[str]:
        return {name for name in below(tmp_path) if not name.startswith("local/cuda-10.0/")}

    before = outside()
    if kind in REFUSED:
        with pytest.raises(cudnn_tree.Refused, match=f"{archive}: .* would leave the folder"):
            cudnn_tree.unpack(given(root, archive))
        assert below(root) == {"lib64/libcudart.so.10.0", MARKER}, "of such an archive nothing is taken"
    else:
        cudnn_tree.unpack(given(root, archive))
    assert outside() == before
    assert not Path("/etc/hostile").exists() and not Path("/tmp/hostile").exists()
    for path in [root / name for name in below(root)]:
        assert path.is_symlink() or path.is_file(), path
        assert path.lstat().st_mode & 0o7000 == 0, path
        assert path.resolve().is_relative_to(root), path


@pytest.mark.parametrize("target", ["..", ".", "", "libcudart.so.10.0", "../../etc/passwd"])
def test_a_link_leads_to_cudnn_only(cudnn_tree: ModuleType, root: Path, tmp_path: Path, target: str) -> None:
    archive = tmp_path / "x.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("cuda/lib64/libcudnn_link.so")
        member.type, member.linkname = tarfile.SYMTYPE, target
        tar.addfile(member)
    with pytest.raises(cudnn_tree.Refused, match="would leave the folder"):
        cudnn_tree.unpack(given(root, archive))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_neither_file_nor_link(cudnn_tree: ModuleType, root: Path, tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "x.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("cuda/lib64/libcudnn.so.7")
        member.type, member.linkname = kind, "cuda/lib64/other"
        tar.addfile(member)
    with pytest.raises(cudnn_tree.Refused, match="neither a file nor a link"):
        cudnn_tree.unpack(given(root, archive))


def test_no_archive_and_half_an_archive(cudnn_tree: ModuleType, root: Path, tmp_path: Path) -> None:
    whole = cudnn_archive.make(tmp_path / "archives").read_bytes()
    for content in (b"", b"<html>sign in</html>", whole[: len(whole) // 2]):
        archive = tmp_path / "x.tgz"
        archive.write_bytes(content)
        with pytest.raises(cudnn_tree.Refused, match="no archive, or it is cut off"):
            cudnn_tree.unpack(given(root, archive))
        assert below(root) == {"lib64/libcudart.so.10.0", MARKER}
    other = tmp_path / "other.tgz"
    with tarfile.open(other, "w:gz") as tar:
        tar.add(whole and tmp_path / "archives", "something")
    with pytest.raises(cudnn_tree.Refused, match="no header and no library"):
        cudnn_tree.unpack(given(root, other))


def test_header_and_library_that_disagree_do_not_match(cudnn_tree: ModuleType, root: Path, tmp_path: Path) -> None:
    archive = cudnn_archive.make(tmp_path / "archives", header="7.4.2")
    cudnn_tree.unpack(given(root, archive))
    looked = cudnn_tree.look(given(root))
    assert (looked["header"], looked["loaded"], looked["matches"]) == (7402, 7605, False)


def test_a_library_that_cannot_be_loaded_says_why(cudnn_tree: ModuleType, root: Path, tmp_path: Path) -> None:
    cudnn_tree.unpack(given(root, cudnn_archive.make(tmp_path / "archives")))
    (root / "lib64/libcudnn.so.7.6.5").write_bytes(b"bit rot")
    looked = cudnn_tree.look(given(root))
    assert not looked["matches"] and "libcudnn.so.7 cannot be loaded" in looked["problem"]
    (root / "lib64/libcudnn.so.7").unlink()
    assert "is not there" in cudnn_tree.look(given(root))["problem"]


def test_another_version_of_ours_is_replaced(cudnn_tree: ModuleType, root: Path, tmp_path: Path) -> None:
    cudnn_tree.unpack(given(root, cudnn_archive.make(tmp_path / "old", cudnn_archive.seven("7.4.2.24"))))
    cudnn_tree.unpack(given(root, cudnn_archive.make(tmp_path / "new")))
    assert cudnn_tree.look(given(root))["matches"]
    assert list(root.rglob("*.iblvideo-new")) == []


@pytest.mark.parametrize(("marker", "foreign"), [
    ('{"state": "installed"}', False), ('{"state": "installing"}', False), ('{"state": "adopted"}', True),
    (None, True), ("{", True), ("[]", True),
])  # fmt: skip
def test_whose_the_toolkit_is(cudnn_tree: ModuleType, root: Path, marker: str | None, foreign: bool) -> None:
    (root / MARKER).unlink() if marker is None else (root / MARKER).write_text(marker)
    assert cudnn_tree.look(given(root))["foreign"] is foreign
    assert not cudnn_tree.look(given(root / "nothing"))["foreign"]


def test_no_room_is_said_with_its_remedy(
    cudnn_tree: ModuleType, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(cudnn_tree.shutil, "copyfileobj", full)
    with pytest.raises(cudnn_tree.Refused, match=f"no room on the disk of {root}: make room there"):
        cudnn_tree.unpack(given(root, cudnn_archive.make(tmp_path / "archives")))
    assert list(root.rglob("*.iblvideo-new")) == []
