"""Layer 14: the networks of every camera are installed, complete and readable."""

from __future__ import annotations

from iblvideo_admin.engines import weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.rigs import NETWORKS

ID, LAYER, NEEDS, NEEDS_GPU = "weights", 14, (), False


def check(context: Context) -> Finding:
    """Every network's description and both files of its snapshot can be read to the end."""
    folder = context.settings.weights_dir
    try:
        networks = weights.load(folder, NETWORKS)
        kinds = sorted({network.net_type for network in networks})
        for network in networks:
            network.sha256()
    except UserError as error:
        return Finding("fail", error.message, error.code, error.remedy)
    return Finding("pass", f"{len(networks)} networks ({', '.join(kinds)}) of {weights.version(folder)}", str(folder))
