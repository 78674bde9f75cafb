"""Converted networks, each made once and kept; the weights folder itself is never written to.

A file's name holds the sha256 of the snapshot and of what else the network is made from: other weights, another
description or another way of converting give another file.  Beside it lies what is known of it, its own sha256 first:
a file that is not as it was written is made again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.files import make_alike, read_json, refusals, replace_with, sha256

WAY = 1  # of converting: counted up when the same snapshot gives another graph


@dataclass(frozen=True)
class Converted:
    """One network's ONNX file, and what is known of it; ``made`` is true where it has just been made."""

    network: NetworkFiles
    path: Path
    made: bool
    about: dict[str, Any]

    @property
    def checked(self) -> dict[str, Any] | None:
        """What the comparison with TensorFlow gave; None where nobody has compared."""
        known = self.about.get("compared")
        return known if isinstance(known, dict) else None

    def note(self, compared: dict[str, Any]) -> None:
        """Keep what a comparison gave.  Raises ``state.not_usable`` or ``disk.full``."""
        with refusals(self.path.parent, "state.not_usable"):
            _tell(self.path, {**self.about, "compared": compared})


def get(network: NetworkFiles, folder: Path) -> Converted:
    """The network's file in ``folder``, converted now if it is not there.

    Raises ``weights.damaged``, ``weights.not_convertible``, ``state.not_usable`` or ``disk.full``.
    """
    description = network.description()
    path = folder / f"{network.sha256()}-{_recipe(description)}.onnx"
    about = read_json(_beside(path))
    if about is not None and _is_whole(path, about):
        return Converted(network, path, False, about)
    from iblvideo_admin.engines.conversion.network import convert

    data = convert(network.name, network.snapshot, description).SerializeToString()
    about = {"sha256": hashlib.sha256(data).hexdigest(), "network": network.name, "net_type": network.net_type}
    with refusals(folder, "state.not_usable"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        make_alike(folder)  # whoever comes first, root perhaps: the service must be able to go on there
        replace_with(path, data)
        _tell(path, about)
    return Converted(network, path, True, about)


def _tell(path: Path, about: dict[str, Any]) -> None:
    replace_with(_beside(path), json.dumps(about, indent=1).encode() + b"\n")


def _is_whole(path: Path, about: dict[str, Any]) -> bool:
    try:
        return sha256(path) == about.get("sha256")
    except OSError:
        return False


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _recipe(description: dict[str, Any]) -> str:
    """Of everything but the snapshot that decides what the graph computes: paths do not."""
    paths = ("project_path", "init_weights", "snapshot_prefix", "scoremap_dir", "dataset", "metadataset")
    of = {key: value for key, value in description.items() if key not in paths}
    text = json.dumps([WAY, of], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
