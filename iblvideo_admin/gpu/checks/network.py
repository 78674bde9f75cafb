"""Layer 13: DeepLabCut's code runs every installed network through the engine."""

from __future__ import annotations

import tempfile

import numpy as np

from iblvideo_admin.engines import start, weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import choice
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.rigs import NETWORKS

ID, LAYER, NEEDS, NEEDS_GPU = "network", 13, ("compute", "weights"), False


def check(context: Context) -> Finding:
    """Start the engine as a job does and run each network on a small picture."""
    try:
        networks = weights.load(context.settings.weights_dir, NETWORKS)
        cards = choice.allowed(context.settings, context.inventory)
        if context.toolchain.needs_gpu and not cards:
            return Finding("skip", "there is no GPU that may be used")
        gpu = cards[0].uuid if context.toolchain.needs_gpu else ""
        with (
            tempfile.TemporaryFile() as log,
            start.start(context.settings, context.toolchain, log, gpu=gpu, lease=()) as engine,
        ):
            versions = engine.load(networks)
            picture = np.random.default_rng(0).integers(0, 255, (1, 128, 128), np.uint8)
            for network in networks:
                points = engine.submit(network.name, picture).result()
                if points.shape != (1, len(network.points), 3) or not np.isfinite(points).all():
                    return Finding("fail", f"the network {network.name} gives {points.shape} or no numbers")
    except UserError as error:
        return Finding("fail", error.message, error.code, error.remedy)
    return Finding("pass", f"DeepLabCut {versions.get('deeplabcut')} ran {len(networks)} networks")
