"""Each network is converted once; nothing is written where it came from."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from iblvideo_admin.engines import weights
from iblvideo_admin.engines.conversion import cache
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError


@pytest.fixture
def eye(demo_weights: Path) -> NetworkFiles:
    [network] = weights.load(demo_weights, ["eye"])
    return network


def test_it_is_made_once_and_named_by_its_snapshot(eye: NetworkFiles, tmp_path: Path) -> None:
    first = cache.get(eye, tmp_path / "cache")
    assert first.made and first.path.name.startswith(f"{eye.sha256()}-")
    again = cache.get(eye, tmp_path / "cache")
    assert not again.made and again.path == first.path
    assert [path.suffix for path in sorted(first.path.parent.iterdir())] == [".json", ".onnx"]


def test_the_weights_folder_stays_as_it_is(eye: NetworkFiles, demo_weights: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(demo_weights, tmp_path / "weights")
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    [network] = weights.load(copied, ["eye"])
    assert cache.get(network, tmp_path / "cache").path.name == cache.get(eye, tmp_path / "other").path.name
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-1]), Path.unlink,
                                    lambda path: path.with_suffix(".json").write_text("{")])  # fmt: skip
def test_what_is_damaged_is_made_again(eye: NetworkFiles, tmp_path: Path, damage: object) -> None:
    first = cache.get(eye, tmp_path)
    content = first.path.read_bytes()
    damage(first.path)  # type: ignore[operator]
    again = cache.get(eye, tmp_path)
    assert again.made and again.path.read_bytes() == content


def test_another_description_is_another_network(eye: NetworkFiles, tmp_path: Path) -> None:
    other = tmp_path / "pose_cfg.yaml"
    text = eye.pose_config.read_text()
    other.write_text(text.replace("locref_stdev: 7.2801", "locref_stdev: 5"))
    assert cache.get(eye, tmp_path).path != cache.get(replace(eye, pose_config=other), tmp_path).path
    other.write_text(text + "\nproject_path: /somewhere/else\n")
    assert cache.get(eye, tmp_path).path == cache.get(replace(eye, pose_config=other), tmp_path).path


def test_what_a_comparison_gave_is_kept(eye: NetworkFiles, tmp_path: Path) -> None:
    assert cache.get(eye, tmp_path).checked is None
    cache.get(eye, tmp_path).note({"px": 0.001})
    assert cache.get(eye, tmp_path).checked == {"px": 0.001}
    assert json.loads(next(tmp_path.glob("*.json")).read_text())["net_type"] == eye.net_type


def test_a_folder_that_cannot_be_written_is_said(eye: NetworkFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as raised:
        cache.get(eye, tmp_path / "file/cache")
    assert raised.value.code == "state.not_usable"


def test_the_folder_is_open_to_whom_the_one_above_is(eye: NetworkFiles, tmp_path: Path) -> None:
    """Root may be the first who converts; the service's group must be able to go on."""
    tmp_path.chmod(0o2770)
    before = os.umask(0o077)
    try:
        made = cache.get(eye, tmp_path / "onnx")
    finally:
        os.umask(before)
    assert made.path.parent.stat().st_mode & 0o7777 == 0o2770
