"""The weights folder: complete, or refused with the folder's name; never written to."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from iblvideo_admin.engines import weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import NETWORKS

MODEL = "dlc-models/iteration-0/paw2-micMar17-trainset95shuffle1"
CONFIG = {
    "Task": "paw2-mic",
    "date": "Mar17",
    "TrainingFraction": [0.95],
    "iteration": 0,
    "snapshotindex": -1,
    "batch_size": 16,
    "project_path": "/where/it/was/made",
}
POSE = {"all_joints_names": ["paw_l", "paw_r"], "net_type": "resnet_50"}


def add(root: Path, folder: str = "paw2-mic-2020-03-17", snapshots: tuple[int, ...] = (500,), **config: Any) -> Path:
    path = root / folder
    for part in ("test", "train"):
        (path / MODEL / part).mkdir(parents=True, exist_ok=True)
    (path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **config}))
    (path / MODEL / "test/pose_cfg.yaml").write_text(yaml.safe_dump(POSE))
    for number in snapshots:
        for ending in ("index", "data-00000-of-00001"):
            (path / MODEL / f"train/snapshot-{number}.{ending}").write_text(f"{number} {ending}")
    return path


def paws(root: Path) -> weights.NetworkFiles:
    [network] = weights.load(root, ["paws"])
    return network


def refused(code: str, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        weights.load(root, ["paws"])
    assert caught.value.code == code
    assert str(root) in caught.value.message and "\n" not in caught.value.message
    return caught.value.message


def content(root: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in root.rglob("*")
        if path.is_file()
    }


def test_complete(tmp_path: Path) -> None:
    folder = add(tmp_path)
    network = paws(tmp_path)
    assert network.name == "paws" and network.folder == folder
    assert network.snapshot == folder / MODEL / "train/snapshot-500"
    assert network.pose_config == folder / MODEL / "test/pose_cfg.yaml"
    assert network.points == ("paw_l", "paw_r")
    assert (network.batch_size, network.net_type) == (16, "resnet_50")
    assert network.sha256() == hashlib.sha256(b"500 index500 data-00000-of-00001").hexdigest()


def test_nothing_is_written(tmp_path: Path) -> None:
    add(tmp_path)
    before = content(tmp_path)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    paws(tmp_path).sha256()
    assert content(tmp_path) == before
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(before)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755)


def test_the_highest_number_is_the_last_snapshot(tmp_path: Path) -> None:
    add(tmp_path, snapshots=(999, 1000, 50))
    assert paws(tmp_path).snapshot.name == "snapshot-1000"


@pytest.mark.parametrize(
    ("index", "chosen"), [(0, "snapshot-50"), (1, "snapshot-999"), (-2, "snapshot-999"), ("all", "snapshot-1000")]
)
def test_the_index_chooses(tmp_path: Path, index: int | str, chosen: str) -> None:
    add(tmp_path, snapshots=(999, 1000, 50), snapshotindex=index)
    assert paws(tmp_path).snapshot.name == chosen


def test_the_rest_of_a_batch_size(tmp_path: Path) -> None:
    add(tmp_path, batch_size=0)
    assert paws(tmp_path).batch_size == 1


def test_missing(tmp_path: Path) -> None:
    assert "paw2-mic-*" in refused("weights.missing", tmp_path)
    refused("weights.missing", tmp_path / "nothing")
    (tmp_path / "paw2-mic-2020.zip").write_text("a file")
    refused("weights.missing", tmp_path)


def test_two(tmp_path: Path) -> None:
    add(tmp_path)
    add(tmp_path, "paw2-mic-2021-01-01")
    message = refused("weights.damaged", tmp_path)
    assert "paw2-mic-2020-03-17, paw2-mic-2021-01-01" in message


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "no config": lambda folder: (folder / "config.yaml").unlink(),
    "config cut": lambda folder: (folder / "config.yaml").write_text("Task: [paw"),
    "config empty": lambda folder: (folder / "config.yaml").write_text(""),
    "config a list": lambda folder: (folder / "config.yaml").write_text("[1, 2]"),
    "config no text": lambda folder: (folder / "config.yaml").write_bytes(b"\xff\xfe\x00"),
    "config with an object": lambda folder: (folder / "config.yaml").write_text("!!python/object/apply:os.system [ls]"),
    "config without task": lambda folder: (folder / "config.yaml").write_text("date: Mar17"),
    "config without fraction": lambda folder: add(folder.parent, TrainingFraction=[]),
    "fraction a word": lambda folder: add(folder.parent, TrainingFraction=["much"]),
    "fraction none": lambda folder: add(folder.parent, TrainingFraction=None),
    "fraction infinite": lambda folder: add(folder.parent, TrainingFraction=[float("inf")]),
    "batch size a word": lambda folder: add(folder.parent, batch_size="many"),
    "another iteration": lambda folder: add(folder.parent, iteration=3),
    "no such snapshot": lambda folder: add(folder.parent, snapshotindex=5),
    "no pose": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").unlink(),
    "pose cut": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").write_text("all_joints_names: [paw_l"),
    "pose without names": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").write_text("net_type: resnet_50"),
    "pose with no names": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").write_text("all_joints_names:"),
    "pose with a number": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").write_text("all_joints_names: 3"),
    "pose lacks one": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").write_text("all_joints_names: [paw_l]"),
    "pose counts others": lambda folder: (folder / MODEL / "test/pose_cfg.yaml").write_text(
        yaml.safe_dump({**POSE, "num_joints": 1})
    ),
    "batch size beyond all memory": lambda folder: add(folder.parent, batch_size=100_000),
    "no index": lambda folder: (folder / MODEL / "train/snapshot-500.index").unlink(),
    "no data": lambda folder: (folder / MODEL / "train/snapshot-500.data-00000-of-00001").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged(tmp_path: Path, damage: str) -> None:
    DAMAGE[damage](add(tmp_path))
    refused("weights.damaged", tmp_path)


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    add(tmp_path)
    assert weights.load(tmp_path, []) == []
    with pytest.raises(UserError, match="eye-mic"):
        weights.load(tmp_path, ["paws", "eye"])


def test_the_version_is_the_folders_real_name(tmp_path: Path) -> None:
    add(tmp_path / "networks_v2.1")
    (tmp_path / "current").symlink_to("networks_v2.1")
    assert weights.version(tmp_path / "current") == "networks_v2.1"
    assert paws(tmp_path / "current").points == ("paw_l", "paw_r")


def test_a_link_that_is_turned_meanwhile(tmp_path: Path) -> None:
    """An administrator installs the next version while jobs run: the networks of one job are of one version."""
    for version in ("v1", "v2"):
        add(tmp_path / version)
    (tmp_path / "current").symlink_to("v1")
    network = paws(tmp_path / "current")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("v2")
    assert network.snapshot.resolve().is_relative_to(tmp_path / "v1")
    assert network.pose_config.resolve().is_relative_to(tmp_path / "v1")


def test_the_demo_networks(demo_weights: Path) -> None:
    before = content(demo_weights)
    loaded = weights.load(demo_weights, NETWORKS)
    assert [network.name for network in loaded] == list(NETWORKS)
    assert len({network.sha256() for network in loaded}) == len(NETWORKS)
    assert content(demo_weights) == before


def test_weights_that_vanish_after_loading(tmp_path: Path) -> None:
    add(tmp_path)
    network = paws(tmp_path)
    Path(f"{network.snapshot}.index").unlink()
    with pytest.raises(UserError) as caught:
        network.sha256()
    assert caught.value.code == "weights.damaged" and str(network.snapshot) in caught.value.message
