"""Run under a toolchain's Python 3.7: what is installed, and what TensorFlow can do.

``python tensorflow1_probe.py packages`` lists the installed packages; ``... compute`` imports TensorFlow, lists
its devices and compares a matrix product and a convolution with numpy's.  The answer is the last line of
standard output; everything else that TensorFlow prints goes before it or to standard error.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def packages() -> dict[str, Any]:
    """Installed distributions and the interpreter."""
    import pkg_resources

    found = dict((item.key, item.version) for item in pkg_resources.working_set)
    return {"python": sys.version.split()[0], "packages": found}


def compute() -> dict[str, Any]:
    """Devices, and the largest differences from numpy."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    devices = [(d.name, d.device_type, d.physical_device_desc) for d in device_lib.list_local_devices()]
    random = np.random.RandomState(0)
    a, b = random.rand(64, 48).astype("f4"), random.rand(48, 32).astype("f4")
    image, kernel = random.rand(1, 16, 16, 3).astype("f4"), random.rand(3, 3, 3, 4).astype("f4")
    with tf.Session() as session:
        product = session.run(tf.matmul(a, b))
        convolved = session.run(tf.nn.conv2d(image, kernel, [1, 1, 1, 1], "VALID"))
    expected = np.zeros_like(convolved)
    for y in range(3):
        for x in range(3):
            expected += np.tensordot(image[:, y : y + 14, x : x + 14], kernel[y, x], 1)
    return {
        "tensorflow": tf.__version__,
        "devices": devices,
        "matmul_error": float(abs(product - a.dot(b)).max()),
        "convolution_error": float(abs(convolved - expected).max()),
    }


if __name__ == "__main__":
    print(json.dumps({"packages": packages, "compute": compute}[sys.argv[1]]()))
