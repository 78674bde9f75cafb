"""The weights folder: one DeepLabCut project per network, read and never written to.

``<weights>/<network>-*/config.yaml`` names the iteration and the snapshot;
``dlc-models/iteration-<i>/<Task><date>-trainset<percent>shuffle1/{test/pose_cfg.yaml,train/snapshot-<n>.*}``
hold the network.  (``project_path`` in config.yaml is an absolute path of wherever it was made: ignored.)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import NETWORKS, Camera

MOST_AT_ONCE = 1024  # pictures of a batch: more is a slip, and no message to an engine holds them
_SNAPSHOT = re.compile(r"(snapshot-(\d+))\.index\Z")


@dataclass(frozen=True)
class NetworkFiles:
    """One network's files: its snapshot (path without ending) and DeepLabCut's description of it."""

    name: str
    folder: Path
    snapshot: Path
    pose_config: Path
    points: tuple[str, ...]
    batch_size: int
    net_type: str

    def sha256(self) -> str:
        """Over the snapshot's two files; names the network's weights in the provenance.

        Raises ``weights.damaged`` where one of them cannot be read.
        """
        return _sha256(self._files(), self.identity())

    def description(self) -> dict[str, Any]:
        """What DeepLabCut says of the network (pose_cfg.yaml).  Raises ``weights.damaged``."""
        return _yaml(self.pose_config)

    def identity(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes when the snapshot's files are written to or exchanged; None for one that is gone."""
        return tuple(map(_identity, self._files()))

    def _files(self) -> tuple[str, str]:
        return f"{self.snapshot}.index", f"{self.snapshot}.data-00000-of-00001"


@lru_cache
def _sha256(files: tuple[str, ...], identity: tuple[object, ...]) -> str:  # noqa: ARG001  whoever writes changes it
    """Of all files together; read once while they stay as they are: the engine and the provenance both ask."""
    digest = hashlib.sha256()
    for path in files:
        try:
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise UserError("weights.damaged", f"{error.filename} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _identity(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def version(weights_dir: Path) -> str:
    """The name under which the weights were installed."""
    return weights_dir.resolve().name


def networks_of(camera: Camera) -> tuple[str, ...]:
    """Every network that the camera's videos need."""
    return tuple(dict.fromkeys((camera.region_network, *camera.networks)))


def load(weights_dir: Path, names: Iterable[str]) -> list[NetworkFiles]:
    """The files of the named networks.  Raises ``weights.missing`` or ``weights.damaged``, naming the folder.

    A link is followed once: where it is turned to another version meanwhile, all networks are still of this one.
    """
    folder = weights_dir.resolve()
    if not folder.is_dir():
        raise UserError("weights.missing", f"there is no weights folder {weights_dir}")
    return [_network(folder, name) for name in names]


def _network(weights_dir: Path, name: str) -> NetworkFiles:
    pattern = NETWORKS[name].folder
    folders = sorted(folder for folder in weights_dir.glob(pattern) if folder.is_dir())
    if not folders:
        raise UserError("weights.missing", f"there is no folder {pattern} in {weights_dir}")
    if len(folders) > 1:
        several = ", ".join(folder.name for folder in folders)
        raise UserError("weights.damaged", f"{weights_dir} holds more than one {pattern}: {several}", "Keep one.")
    folder = folders[0]
    config = _yaml(folder / "config.yaml")
    try:
        percent = int(config["TrainingFraction"][0] * 100)
        model = f"{config['Task']}{config['date']}-trainset{percent}shuffle1"
        base = folder / "dlc-models" / f"iteration-{config['iteration']}" / model
        which = config["snapshotindex"]
        batch_size = int(config.get("batch_size", 8))
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise UserError("weights.damaged", f"{folder / 'config.yaml'} lacks what names the model: {error}") from error
    if batch_size > MOST_AT_ONCE:
        raise UserError("weights.damaged", f"{folder / 'config.yaml'}: no memory holds a batch_size of {batch_size}")
    pose_config = base / "test/pose_cfg.yaml"
    pose = _yaml(pose_config)
    snapshots = sorted(
        (int(match[2]), match[1]) for path in (base / "train").glob("*.index") if (match := _SNAPSHOT.match(path.name))
    )
    if not snapshots:
        raise UserError("weights.damaged", f"there is no snapshot in {base / 'train'}")
    try:
        snapshot = base / "train" / snapshots[which if isinstance(which, int) else -1][1]
    except IndexError as error:
        raise UserError("weights.damaged", f"{folder} has no snapshot of index {which}") from error
    if not Path(f"{snapshot}.data-00000-of-00001").is_file():
        raise UserError("weights.damaged", f"{snapshot}.data-00000-of-00001 is missing")
    listed = pose.get("all_joints_names")
    points = tuple(map(str, listed)) if isinstance(listed, list) else ()
    if pose.get("num_joints", len(points)) != len(points):
        raise UserError("weights.damaged", f"{pose_config} names {len(points)} points, but has {pose['num_joints']}")
    if lacking := [point for point in NETWORKS[name].points if point not in points]:
        raise UserError("weights.damaged", f"{folder} does not know the point {lacking[0]}")
    return NetworkFiles(name, folder, snapshot, pose_config, points, max(batch_size, 1), str(pose.get("net_type")))


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError("weights.damaged", f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise UserError("weights.damaged", f"{path} holds no settings")
    return content
