"""Run under the Python of a toolchain of onnxruntime: what is installed, and what onnxruntime can do.

``python onnx_probe.py packages`` lists the installed packages; ``... compute [UUID]`` compares a matrix product and a
convolution with numpy's, on the CPU and on that card; ``... imports NAMES`` imports them and does nothing else.  The
answer is the last line of standard output.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from importlib.metadata import Distribution, PackagePath
from pathlib import Path
from typing import Any

import numpy as np


def packages() -> dict[str, Any]:
    """The interpreter, installed distributions (of one that is there twice, all versions), and what is damaged."""
    found: dict[str, list[str]] = {}
    damaged: dict[str, str] = {}
    for item in importlib.metadata.distributions():
        name = item.metadata["Name"] or "unreadable"
        if item.version not in found.setdefault(name, []):
            found[name].append(item.version)
        if wrong := [told for file in item.files or () if (told := _damaged(item, file))]:
            damaged[name] = wrong[0] + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    said = checked.stdout or (checked.stderr if checked.returncode else b"")
    return {
        "python": platform.python_version(),
        "packages": {name: " and ".join(versions) for name, versions in found.items()},
        "damaged": damaged,
        "pip_check": [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()],
        "environment": {},
    }


def _damaged(item: Distribution, file: PackagePath) -> str:
    """What is wrong with a file whose size pip noted; empty where nothing is."""
    if file.size is None:  # what is made later has none
        return ""
    try:
        size = Path(str(item.locate_file(file))).stat().st_size
    except OSError as error:
        return f"{file}: {error.strerror}"
    return "" if size == file.size else f"{file}: {size} of {file.size} bytes"


def imports(*names: str) -> dict[str, Any]:
    """Those that could be imported: all, or this ends with what Python says."""
    return {"imported": [importlib.import_module(name).__name__ for name in names]}


def compute(uuid: str = "") -> dict[str, Any]:
    """Devices that were really used, and for each the largest differences from numpy, as parts of the largest value."""
    import onnxruntime

    from iblvideo_admin.engines.onnx import PROVIDERS, providers

    random = np.random.RandomState(0)
    a, b = random.randn(512, 384).astype("f4"), random.randn(384, 256).astype("f4")
    image, kernel = random.randn(2, 64, 64, 16).astype("f4"), random.randn(3, 3, 16, 32).astype("f4")
    convolved = np.zeros((2, 62, 62, 32), "f4")
    for y in range(3):
        for x in range(3):
            convolved += np.tensordot(image[:, y : y + 62, x : x + 62], kernel[y, x], 1)
    feeds = {"a": a, "b": b, "image": image.transpose(0, 3, 1, 2), "kernel": kernel.transpose(3, 2, 0, 1)}
    model = _model({name: value.shape for name, value in feeds.items()})
    devices, errors = [], {}
    for card in dict.fromkeys(("", uuid)):
        session = onnxruntime.InferenceSession(model, providers=providers(card))
        name = session.get_providers()[0]
        devices.append((name, "GPU" if name == PROVIDERS[True] else "CPU", card))
        got = session.run(None, feeds)
        right = (a.dot(b), convolved.transpose(0, 3, 1, 2))
        errors[name if name == PROVIDERS[False] else f"GPU {name}"] = [
            float(abs(seen - true).max() / abs(true).max()) for seen, true in zip(got, right, strict=True)
        ]
    return {"software": f"onnxruntime {onnxruntime.__version__}", "devices": devices, "errors": errors}


def _model(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """One product and one convolution of inputs of these shapes."""
    from onnx import TensorProto, helper

    def value(name: str, shape: tuple[int, ...] | None) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("MatMul", ["a", "b"], ["product"]),
        helper.make_node("Conv", ["image", "kernel"], ["convolved"]),
    ]
    outputs = [value("product", (512, 256)), value("convolved", (2, 32, 62, 62))]
    graph = helper.make_graph(nodes, "probe", [value(*pair) for pair in shapes.items()], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


if __name__ == "__main__":
    print(json.dumps({"packages": packages, "compute": compute, "imports": imports}[sys.argv[1]](*sys.argv[2:])))
