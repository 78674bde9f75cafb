"""Layer 12: TensorFlow, or onnxruntime, starts in a process of its own, computes right numbers there, and not slowly.

A card that is too new for CUDA 10.0 gives wrong numbers without an error, so numbers are compared.
"""

from __future__ import annotations

import tempfile
from typing import Any

from iblvideo_admin.demo import WEIGHTS
from iblvideo_admin.engines import start, weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import choice, speed
from iblvideo_admin.gpu.checks.base import Context, Finding, ProbeError, explained, probe, worst
from iblvideo_admin.gpu.inventory import Gpu

ID, LAYER, NEEDS, NEEDS_GPU = "compute", 12, ("capability", "libraries", "health", "packages"), False
_LARGEST = 1e-3  # float32 differs by 1e-6 from numpy's
_SOFTWARE = {"tensorflow1": "TensorFlow", "onnx": "onnxruntime"}
_ANSWER = {"software": str, "devices": list, "errors": dict}


def check(context: Context) -> Finding:
    """Import, device list, matrix product and convolution on each device against numpy; frames/s of one network.

    Card by card, each in a process that sees no other, as a job's does.
    """
    if not context.toolchain.needs_gpu:
        return _computes(context, None)
    cards = choice.allowed(context.settings, context.inventory)
    return worst([_computes(context, card) for card in cards])


def _computes(context: Context, gpu: Gpu | None) -> Finding:
    """On one card, or without any."""
    where = f"GPU {gpu.index}: " if gpu else ""
    uuid = gpu.uuid if gpu else ""
    name = _SOFTWARE[context.toolchain.engine]
    # onnxruntime finds the card by its name: it runs in a process that may use several
    card = [uuid] if uuid and context.toolchain.in_process else []
    try:
        answer = probe(context, "compute", _ANSWER, *card, gpu=uuid)
    except ProbeError as error:
        return explained(context, error, f"{where}{name} does not start")
    kinds = [str(device[1]) for device in answer["devices"] if isinstance(device, list) and len(device) > 1]
    if gpu and "GPU" not in kinds:
        seen = ", ".join(kinds) or "nothing"
        return explained(context, ProbeError("", answer["said"]), f"{where}{name} sees no GPU, only {seen}")
    largest = _largest(answer["errors"])
    if largest is None or (gpu and not any("GPU" in name for name in answer["errors"])):
        return Finding("fail", f"{where}{name} computed nothing", str(answer["errors"]), _WRONG)
    if not largest[1] <= _LARGEST:  # NaN is neither
        summary = f"{where}{name}'s numbers are wrong on {largest[0]}"
        return Finding("fail", summary, f"off by {largest[1]:.3g} of the largest", _WRONG)
    on = ", ".join(kind for kind in kinds if "XLA" not in kind)
    return _paced(context, uuid, f"{where}{answer['software']} on {on}, right to {largest[1]:.0g}")


_WRONG = "The card is too new for this CUDA, or broken: use the toolchain recommended below, or test the card's memory."


def _largest(errors: dict[str, Any]) -> tuple[str, float] | None:
    """The device with the largest difference, NaN above all; None where there is no number."""
    pairs = [
        (name, float(error))
        for name, values in errors.items()
        for error in (values if isinstance(values, list) else [])
        if isinstance(error, (int, float))
    ]
    return max(pairs, key=lambda pair: float("inf") if pair[1] != pair[1] else pair[1], default=None)


def _paced(context: Context, gpu: str, right: str) -> Finding:
    """The network's pace beside this host's own first one."""
    try:
        [network] = weights.load(WEIGHTS, [speed.NETWORK])
        with (
            tempfile.TemporaryFile() as log,
            start.start(context.settings, context.toolchain, log, gpu=gpu, lease=()) as engine,
        ):
            engine.load([network])
            now = speed.measured(engine)
    except UserError:
        return Finding("pass", f"{right}; pace not measured, layer 13 says why")
    key = f"{context.toolchain.name} {gpu or 'cpu'}"
    context.speeds[key] = now
    before = speed.baseline(context.settings.state_dir, key)
    if before is not None and now < speed.SLOW * before:
        return Finding(
            "warn",
            f"{right}, but slow: {now:.0f} pictures/s of the {speed.NETWORK} network",
            f"{before:.0f} at this host's first passing check",
            "See what else runs (`nvidia-smi`, `top`) and what throttles it (`nvidia-smi -q -d PERFORMANCE`).",
        )
    return Finding("pass", f"{right}; {now:.0f} pictures/s" + (f" (first: {before:.0f})" if before is not None else ""))
