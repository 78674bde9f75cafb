"""Layer 13: the demo's networks find the known points of a drawn mouse, then the installed networks run."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np

from iblvideo_admin.demo import WEIGHTS
from iblvideo_admin.engines import start, weights
from iblvideo_admin.engines.base import Engine
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import choice, known
from iblvideo_admin.gpu.checks.base import Context, Finding, ProbeError, explained, probe, worst
from iblvideo_admin.rigs import NETWORKS

ID, LAYER, NEEDS, NEEDS_GPU = "network", 13, ("compute",), False
_LARGEST_PX = 4.0  # the demo's networks are right to 2 px (median) in videos; this is a handful of frames,
_LARGEST_WHOLE_PX = 12.0  # and of whole frames only one
_SOFTWARE = {"deeplabcut": "DeepLabCut", "onnxruntime": "onnxruntime", "tensorflow": "TensorFlow"}
_WRONG = "The numbers that this card gives are wrong: use the toolchain recommended below, or test the card's memory."


def check(context: Context) -> Finding:
    """The imports; the demo's networks through the engine against the truth; the installed ones beside them."""
    try:
        probe(context, "imports", {"imported": list}, *context.toolchain.imports)
    except ProbeError as error:
        return explained(context, error, f"{' or '.join(context.toolchain.imports)} cannot be imported")
    gpu = choice.allowed(context.settings, context.inventory)[0].uuid if context.toolchain.needs_gpu else ""
    with tempfile.TemporaryFile() as log:
        try:
            return worst([_demo(context, gpu, log), _installed(context, gpu, log)])
        except UserError as error:
            log.seek(0)
            return explained(context, ProbeError(error.message, log.read().decode("utf-8", "replace")), error.message)


def _demo(context: Context, gpu: str, log: IO[bytes]) -> Finding:
    """The demo's networks against the truth."""
    pictures, truth = known.scene()
    networks = weights.load(WEIGHTS, NETWORKS)
    with start.start(context.settings, context.toolchain, log, gpu=gpu, lease=()) as engine:
        versions = engine.load(networks)
        for network in networks:
            points = engine.submit(network.name, pictures[network.name]).result()
            found = points[:, [network.points.index(name) for name in NETWORKS[network.name].points], :2]
            limit = _LARGEST_WHOLE_PX if len(points) == 1 else _LARGEST_PX
            if not (error := known.error(found, truth[network.name])) <= limit:
                return Finding(
                    "fail",
                    f"the demo's {network.name} network finds its points in wrong places",
                    f"{error:.1f} px beside the truth (median of the worst point)",
                    _WRONG,
                )
    name = next(name for name in _SOFTWARE if name in versions)
    return Finding("pass", f"{_SOFTWARE[name]} {versions[name]} finds the known points of a drawn mouse")


def _installed(context: Context, gpu: str, log: IO[bytes]) -> Finding:
    """The installed networks give finite numbers; where they are not complete, layer 14 says so."""
    pictures, _ = known.scene()
    try:
        networks = weights.load(context.settings.weights_dir, NETWORKS)
        for network in networks:
            network.sha256()  # whether they can be read is layer 14's matter
    except UserError:
        return Finding("pass", "installed networks not run, layer 14 says why")
    with start.start(context.settings, context.toolchain, log, gpu=gpu, lease=()) as engine:
        engine.load(networks)
        for network in networks:
            if not _runs(engine, network, pictures[network.name]):
                return Finding("fail", f"the installed {network.name} network gives no numbers", "", _WRONG)
    return Finding("pass", f"{len(networks)} installed networks run")


def _runs(engine: Engine, network: weights.NetworkFiles, pictures: np.ndarray) -> bool:
    points = engine.submit(network.name, pictures).result()
    return points.shape == (len(pictures), len(network.points), 3) and bool(np.isfinite(points).all())
