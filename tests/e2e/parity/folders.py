"""Weights folders in the IBL's layout, made from the demo's."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from iblvideo_admin.rigs import NETWORKS


def copied(demo: Path, target: Path, batch_size: int) -> Path:
    """The demo's projects with another batch size."""
    shutil.copytree(demo, target)
    for config in target.glob("*/config.yaml"):
        _change(config, project_path=str(config.parent), batch_size=batch_size)
    return target


def emptied(demo: Path, target: Path, batch_size: int, net_type: str) -> Path:
    """The same for networks of another type: of the same points, and without a snapshot yet."""
    copied(demo, target, batch_size)
    for pose in target.glob("*/dlc-models/*/*/*/pose_cfg.yaml"):
        _change(pose, net_type=net_type)
    for part in target.glob("*/dlc-models/*/*/train/snapshot-*"):
        part.unlink()
    return target


def project(folder: Path, name: str) -> Path:
    """The folder of a network's project."""
    [found] = folder.glob(NETWORKS[name].folder)
    return found


def new_snapshot(folder: Path, name: str) -> str:
    """Where a network's first snapshot is to lie."""
    [train] = project(folder, name).glob("dlc-models/*/*/train")
    return str(train / "snapshot-1")


def _change(path: Path, **settings: object) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **settings}))
