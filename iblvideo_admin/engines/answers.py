"""What the sidecar's answers mean: points, or one error with a code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError

# what TensorFlow and DeepLabCut raise while loading where the network's files are to blame
_OF_THE_FILES = {
    "NotFoundError", "DataLossError", "InvalidArgumentError", "OutOfRangeError", "FileNotFoundError", "PermissionError",
    "OSError", "KeyError", "AttributeError", "TypeError", "ValueError",
}  # fmt: skip


def points(payload: bytearray, shape: list[int], pictures: int, names: Sequence[str]) -> np.ndarray:
    """(pictures, points, 3) float32.  Raises ValueError where the answer's numbers are not that."""
    found: np.ndarray = np.frombuffer(payload, np.float32).reshape(shape)
    if found.shape != (pictures, len(names), 3):
        raise ValueError(f"points of shape {shape} for {pictures} pictures of {', '.join(names)}")
    return found


def error(fields: Mapping[str, Any], network: str, *, loading: bool, python: Path) -> UserError:
    """The error of which the sidecar tells, of a network that it loads or runs."""
    kind, said = str(fields.get("type")), in_one_line(str(fields.get("message")))
    about = f"network {network}: {kind}: {said}"
    if fields.get("memory"):
        return UserError("engine.out_of_memory", about)
    if loading and kind in {"ImportError", "ModuleNotFoundError"}:
        return UserError("toolchain.not_provisioned", f"{python} cannot import what the engine needs: {said}")
    if loading and kind in _OF_THE_FILES:
        return UserError("weights.damaged", about)
    return UserError("engine.failed", f"the engine reported of {about}")


def parted(network: NetworkFiles, pictures: int, at_once: int) -> str:
    """The warning of a network whose batches were too large for the memory."""
    warning = f"the memory did not suffice for {pictures} pictures of {network.name} at once: {at_once} at a time"
    return warning + ("; a mobilenet's results depend on it" if network.net_type.startswith("mobilenet") else "")


def in_one_line(message: object) -> str:
    """Its first line; of TensorFlow's errors about libraries, which are whole tracebacks, the line with the reason."""
    lines = [line.strip() for line in str(message).splitlines() if line.strip()] or [""]
    if lines[0].startswith("Traceback"):
        lines = [line for line in lines if line.startswith("ImportError")] or lines
    return lines[0][:500]
