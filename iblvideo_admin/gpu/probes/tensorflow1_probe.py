"""Run under a toolchain's Python 3.7: what is installed, and what TensorFlow can do.

``python tensorflow1_probe.py packages`` lists the installed packages; ``... compute`` imports TensorFlow, lists
its devices and compares a matrix product and a convolution on each of them with numpy's on the CPU.  The answer is the last line of
standard output; everything else that TensorFlow prints goes before it or to standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def packages() -> dict[str, Any]:
    """The interpreter, installed distributions (of one that is there twice, all versions), `pip check`, variables."""
    import pkg_resources

    found: dict[str, list[str]] = {}
    for folder in sys.path:
        for item in pkg_resources.find_distributions(folder):
            try:
                version = item.version
            except ValueError:
                version = "unreadable"
            if version not in found.setdefault(item.key, []):
                found[item.key].append(version)
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return {
        "python": sys.version.split()[0],
        "packages": {name: " and ".join(versions) for name, versions in found.items()},
        "pip_check": [line for line in checked.stdout.decode("utf-8", "replace").splitlines() if line.strip()],
        "environment": {name: os.environ.get(name) for name in ("DLClight", "MPLBACKEND")},
    }


def compute() -> dict[str, Any]:
    """Devices, and for each the largest differences from numpy, as parts of the largest right value."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    devices = [(d.name, d.device_type, d.physical_device_desc) for d in device_lib.list_local_devices()]
    random = np.random.RandomState(0)
    a, b = random.randn(512, 384).astype("f4"), random.randn(384, 256).astype("f4")
    image, kernel = random.randn(2, 64, 64, 16).astype("f4"), random.randn(3, 3, 16, 32).astype("f4")
    product, convolved = a.dot(b), np.zeros((2, 62, 62, 32), "f4")
    for y in range(3):
        for x in range(3):
            convolved += np.tensordot(image[:, y : y + 62, x : x + 62], kernel[y, x], 1)
    errors = {}
    for name, kind, _ in devices:
        if kind not in ("CPU", "GPU"):
            continue
        with tf.Graph().as_default(), tf.device(name):
            asked = tf.matmul(a, b), tf.nn.conv2d(image, kernel, [1, 1, 1, 1], "VALID")
            # exactly there, or not at all: a fall back to the CPU would prove nothing of the card
            with tf.Session(config=tf.ConfigProto(allow_soft_placement=False)) as session:
                got = session.run(asked)
        errors[name] = [
            float(abs(seen - right).max() / abs(right).max()) for seen, right in zip(got, (product, convolved))
        ]
    return {"tensorflow": tf.__version__, "devices": devices, "errors": errors}


if __name__ == "__main__":
    print(json.dumps({"packages": packages, "compute": compute}[sys.argv[1]]()))
