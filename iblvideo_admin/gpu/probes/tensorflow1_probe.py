"""Run under a toolchain's Python 3.7: what is installed, and what TensorFlow can do.

``python tensorflow1_probe.py packages`` lists the installed packages; ``... compute`` imports TensorFlow, lists
its devices and compares a matrix product and a convolution on each of them with numpy's on the CPU; ``... imports NAMES``
imports them and does nothing else.  The answer is the last line of standard output; everything else that TensorFlow prints goes before it or to standard error.
"""

from __future__ import annotations

import csv
import errno
import importlib
import json
import os
import subprocess
import sys
from typing import Any


def packages() -> dict[str, Any]:
    """The interpreter, installed distributions (of one that is there twice, all versions), what is damaged, variables."""
    import pkg_resources

    found: dict[str, list[str]] = {}
    damaged: dict[str, str] = {}
    for folder in sys.path:
        for item in pkg_resources.find_distributions(folder):
            try:
                version = item.version
            except ValueError:
                version = "unreadable"
            if version not in found.setdefault(item.key, []):
                found[item.key].append(version)
            wrong = _damaged(item)
            if wrong:
                damaged[item.key] = wrong
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said = checked.stdout or (checked.stderr if checked.returncode else b"")  # warnings go to standard error
    return {
        "python": sys.version.split()[0],
        "packages": {name: " and ".join(versions) for name, versions in found.items()},
        "damaged": damaged,
        "pip_check": [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()],
        "environment": {name: os.environ.get(name) for name in ("DLClight", "MPLBACKEND")},
    }


def _damaged(item: Any) -> str:
    """The first file that is not there, not readable or not of the size that pip noted, and how many more; else ''."""
    try:
        rows = list(csv.reader(item.get_metadata_lines("RECORD"))) if item.has_metadata("RECORD") else []
    except Exception as error:  # what a damaged file leads the reader to
        return "RECORD cannot be read (%s)" % type(error).__name__
    wrong = []
    for row in rows:
        if len(row) != 3 or not row[2].isdigit():  # what is made later has no size
            continue
        path = os.path.join(item.location, row[0])
        try:
            size = os.stat(path).st_size
        except OSError as error:
            wrong.append("%s: %s" % (row[0], error.strerror))
            continue
        if size != int(row[2]):
            wrong.append("%s: %d of %s bytes" % (row[0], size, row[2]))
        elif not os.access(path, os.R_OK):
            wrong.append("%s: %s" % (row[0], os.strerror(errno.EACCES)))
    return wrong[0] + (" (and %d more)" % (len(wrong) - 1) if len(wrong) > 1 else "") if wrong else ""


def imports(*names: str) -> dict[str, Any]:
    """Those that could be imported: all, or this ends with what Python says."""
    return {"imported": [importlib.import_module(name).__name__ for name in names]}


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
    return {"software": "TensorFlow %s" % tf.__version__, "devices": devices, "errors": errors}


if __name__ == "__main__":
    print(json.dumps({"packages": packages, "compute": compute, "imports": imports}[sys.argv[1]](*sys.argv[2:])))
