"""Stands in for the toolchain's Python 3.7: runs the real sidecar's protocol with networks that need no TensorFlow.

``STAND_IN`` in the environment makes it misbehave: ``unsure`` (nothing found), ``crash``, ``exit``, ``fail``.
Its networks find every point at the middle of the picture, so that what comes out is known.  ``STAND_IN_PACE_S`` are
seconds that each batch takes; ``STAND_IN_JOURNAL`` see ``journal.py``.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

if "STAND_IN_JOURNAL" in os.environ and Path(sys.argv[1]).name == "tensorflow1_sidecar.py":
    import journal

    journal.begin(Path(os.environ["STAND_IN_JOURNAL"]))

import numpy as np

from iblvideo_admin.demo import WEIGHTS
from iblvideo_admin.engines import tensorflow1_sidecar as sidecar
from iblvideo_admin.engines import weights
from iblvideo_admin.rigs import NETWORKS

MODE = os.environ.get("STAND_IN", "")
NOISE = 70.0  # levels: what the pace is measured with, and no mouse
PACE_S = float(os.environ.get("STAND_IN_PACE_S", "0"))


class Network:
    def __init__(self, snapshot: str, pose_config: str) -> None:
        folder = Path(pose_config)
        self._names = weights._yaml(folder)["all_joints_names"]
        self._points = len(self._names)
        self._is_demo = folder.is_relative_to(WEIGHTS)

    def _known(self, images: np.ndarray) -> np.ndarray:
        """The truth of check-gpu's own pictures, in the network's order of points; the middle for any other."""
        answers = np.full((len(images), self._points, 3), 50, np.float32)
        if images.std() > NOISE:
            return answers
        from iblvideo_admin.gpu import known  # to draw them takes a second, and few engines need it

        pictures, truth = known.scene()
        for name, own in pictures.items():
            if own.shape == images.shape and (own == images).all():
                columns = [self._names.index(point) for point in NETWORKS[name].points]
                answers[:, columns, :2] = truth[name]
        return answers

    def points(self, images: np.ndarray) -> np.ndarray:
        if MODE == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if MODE == "exit":
            os._exit(3)
        if MODE == "fail":
            raise RuntimeError("Blas GEMM launch failed\nsecond line")
        sys.stdout.write("what TensorFlow prints goes to a log\n")
        time.sleep(PACE_S)
        height, width = images.shape[1:]
        likelihood = 0.5 if MODE == "unsure" else 0.99
        if self._is_demo and MODE != "wrong_places":
            return self._known(images)
        return np.tile(np.float32([width / 2, height / 2, likelihood]), (len(images), self._points, 1))


def main() -> None:
    script, arguments = Path(sys.argv[1]).name, sys.argv[2:]
    if script == "tensorflow1_sidecar.py":
        sidecar.Network, sidecar.versions = Network, lambda: {"tensorflow": "stand-in"}
        sidecar.main(arguments)
    elif script == "tensorflow1_probe.py" and arguments == ["packages"]:
        from iblvideo_admin import toolchains

        installed = dict(toolchains.load("dlc-tf1-cpu").versions())
        if MODE == "wrong_package":
            installed["numpy"] = "1.21.6"
        light = {"DLClight": os.environ.get("DLClight")}  # noqa: SIM112  as DeepLabCut spells it
        answer = {"python": "3.7.16", "packages": installed, "damaged": {}, "pip_check": [], "environment": light}
        print(json.dumps(answer))
    elif script == "tensorflow1_probe.py" and arguments[0] == "imports":
        if MODE == "new_skimage":
            sys.exit("ImportError: cannot import name 'circle' from 'skimage.draw' (skimage/draw/__init__.py)")
        print(json.dumps({"imported": arguments[1:]}))
    elif script == "tensorflow1_probe.py":
        if MODE == "no_libcublas":
            sys.exit("ImportError: libcublas.so.10.0: cannot open shared object file: No such file or directory")
        if MODE == "illegal_instruction":
            os.kill(os.getpid(), signal.SIGILL)
        error = 0.5 if MODE == "wrong_numbers" else 1e-6
        devices = [["/device:CPU:0", "CPU", ""]]
        answer = {"software": "TensorFlow 1.13.1", "devices": devices, "errors": {"/device:CPU:0": [error, 1e-6]}}
        print(json.dumps(answer))
    else:
        sys.exit(f"unexpected: {sys.argv}")


if __name__ == "__main__":
    main()
