"""Weights arrive whole or not at all."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

NETWORKS = ["roi_detect-*", "nose_tip-*", "eye-mic-*", "paw2-mic-*", "tongue-mic-*", "tail-mic-*"]


def run(module: ModuleType, scratch: Path, check: bool = False, **given: Any) -> dict[str, Any]:
    params = {
        "src": None,
        "sha256": "",
        "networks": NETWORKS,
        "pack": None,
        "dest": None,
        "fingerprint": "",
        "archive_sha256": "",
    }
    scratch.mkdir(exist_ok=True)
    values = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    return dict(module.run({**params, **values}, check, str(scratch)))


def test_installs_once_and_sees_any_change(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    dest = tmp_path / "root/v9"
    dest.parent.mkdir()
    assert run(weights_tree, tmp_path / "s", True, src=weights, dest=dest)["changed"]
    assert not dest.exists(), "check mode"
    first = run(weights_tree, tmp_path / "s", src=weights, dest=dest)
    assert first["changed"]
    assert not run(weights_tree, tmp_path / "s", src=weights, dest=dest)["changed"]
    data = next(dest.rglob("*.data-*"))
    data.write_bytes(b"bit rot")
    assert run(weights_tree, tmp_path / "s", src=weights, dest=dest)["changed"]
    assert data.stat().st_size == 1000
    assert sorted(path.name for path in dest.parent.iterdir()) == ["v9"]


def test_a_zip_of_the_same_files_is_the_same(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.zip"
    source = run(weights_tree, tmp_path / "s", src=weights, pack=packed)
    nested = Path(shutil.make_archive(str(tmp_path / "nested"), "zip", weights.parent, weights.name))
    for number, archive in enumerate((packed, nested)):
        there = run(weights_tree, tmp_path / f"s{number}", src=archive, sha256=weights_tree.sha256_of(archive))
        assert there["fingerprint"] == source["fingerprint"]
    with pytest.raises(weights_tree.Unusable, match="wanted is 0000"):
        run(weights_tree, tmp_path / "s3", src=packed, sha256="0000")


@pytest.mark.parametrize("member", ["../outside", "/outside", "a/../../outside", "..\\outside", "C:\\outside"])
def test_no_member_leaves_the_folder(weights_tree: ModuleType, tmp_path: Path, member: str) -> None:
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("fine.txt", "fine")
        file.writestr(member, "bad")
    with pytest.raises(weights_tree.Unusable, match="would leave the folder"):
        run(weights_tree, tmp_path / "scratch", src=archive)
    assert list((tmp_path / "scratch").iterdir()) == [], "nothing is unpacked of such an archive"


def test_no_links(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    archive = tmp_path / "link.zip"
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(weights_tree.Unusable, match="link"):
        run(weights_tree, tmp_path / "s", src=archive)
    (weights / "nose_tip-a/stolen").symlink_to("/etc/passwd")
    with pytest.raises(weights_tree.Unusable, match="leads out"):
        run(weights_tree, tmp_path / "s", src=weights)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("eye-mic-a", "0 folders eye-mic-"),
        ("eye-mic-a/config.yaml", "no config.yaml"),
        ("eye-mic-a/dlc-models/iteration-0/modelJan1-trainset95shuffle1/test", "no pose_cfg.yaml"),
        ("eye-mic-a/dlc-models/iteration-0/modelJan1-trainset95shuffle1/train/snapshot-5.index", "no snapshot"),
        (
            "eye-mic-a/dlc-models/iteration-0/modelJan1-trainset95shuffle1/train/snapshot-5.data-00000-of-00001",
            "no data",
        ),
    ],
)
def test_incomplete(weights_tree: ModuleType, weights: Path, tmp_path: Path, missing: str, said: str) -> None:
    path = weights / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(weights_tree.Unusable, match=said):
        run(weights_tree, tmp_path / "s", src=weights, dest=tmp_path / "dest")
    assert not (tmp_path / "dest").exists()


def test_what_is_not_ours_is_left_alone(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "precious").write_text("by hand")
    with pytest.raises(weights_tree.Unusable, match=r"path\.taken"):
        run(weights_tree, tmp_path / "s", src=weights, dest=dest)
    assert [path.name for path in dest.iterdir()] == ["precious"]


def test_the_marker_says_which_archive_it_was(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "weights_v9"), "zip", weights.parent, weights.name))
    sha256, dest = weights_tree.sha256_of(archive), tmp_path / "root/weights_v9"
    dest.parent.mkdir()
    assert run(weights_tree, tmp_path / "s", dest=dest) == {
        "changed": False, "intact": False, "fingerprint": "", "archive_sha256": "",
    }  # fmt: skip
    looked = run(weights_tree, tmp_path / "s1", src=archive)
    assert looked["archive_sha256"] == sha256
    # what was carried over is another archive of the same files: the marker names the one that was downloaded
    packed = tmp_path / "packed.zip"
    run(weights_tree, tmp_path / "s2", src=archive, pack=packed)
    assert weights_tree.sha256_of(packed) != sha256
    given = {"src": packed, "dest": dest, "fingerprint": looked["fingerprint"], "archive_sha256": sha256}
    assert run(weights_tree, tmp_path / "s3", **given)["changed"]
    there = run(weights_tree, tmp_path / "s", dest=dest)
    assert there == {"changed": False, "intact": True, "fingerprint": looked["fingerprint"], "archive_sha256": sha256}
    next(dest.rglob("*.data-*")).write_bytes(b"bit rot")
    damaged = run(weights_tree, tmp_path / "s", dest=dest)
    assert (damaged["intact"], damaged["archive_sha256"]) == (False, sha256), "it must become that one again"


def test_a_folder_is_no_archive(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    dest = tmp_path / "v9"
    assert run(weights_tree, tmp_path / "s", src=weights, dest=dest)["archive_sha256"] == ""
    assert run(weights_tree, tmp_path / "s", dest=dest)["archive_sha256"] == ""


@pytest.mark.parametrize("content", [b"<html>sign in</html>", b"", b"PK\x03\x04 and then nothing"])
def test_what_is_no_zip_is_said(weights_tree: ModuleType, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights_v9.zip").write_bytes(content)
    with pytest.raises(weights_tree.Unusable, match=r"weights_v9\.zip is no \.zip, or a damaged one"):
        run(weights_tree, tmp_path / "s", src=tmp_path / "weights_v9.zip")


def test_a_source_that_changed_on_its_way(weights_tree: ModuleType, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(weights_tree.Unusable, match="arrived damaged"):
        run(weights_tree, tmp_path / "s", src=weights, dest=tmp_path / "v9", fingerprint="0" * 64)
    assert not (tmp_path / "v9").exists()


def test_an_interrupted_installation_leaves_what_was_there(
    weights_tree: ModuleType, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "root/v9"
    dest.parent.mkdir()
    run(weights_tree, tmp_path / "s", src=weights, dest=dest)
    next(weights.rglob("*.data-*")).write_bytes(b"other numbers")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(weights_tree.shutil, "copyfile", full)
        with pytest.raises(OSError, match="No space left"):
            run(weights_tree, tmp_path / "s", src=weights, dest=dest)
    assert run(weights_tree, tmp_path / "s", dest=dest)["intact"]
    assert run(weights_tree, tmp_path / "s", src=weights, dest=dest)["changed"]
    assert [path.name for path in dest.parent.iterdir()] == ["v9"]
