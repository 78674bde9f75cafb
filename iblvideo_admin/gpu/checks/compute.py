"""Layer 12: TensorFlow starts in a process of its own, sees its device and computes right numbers."""

from __future__ import annotations

from iblvideo_admin.gpu.checks.base import Context, Finding, ProbeError, probe

ID, LAYER, NEEDS, NEEDS_GPU = "compute", 12, ("packages",), False
_LARGEST = 1e-3
_ANSWER = {"tensorflow": str, "devices": list, "matmul_error": float, "convolution_error": float}


def check(context: Context) -> Finding:
    """Import, device list, matrix product and convolution against numpy."""
    try:
        answer = probe(context, "compute", _ANSWER)
    except ProbeError as error:
        return Finding("fail", "TensorFlow does not start", str(error), "Run with --json and read the evidence.")
    kinds = [str(device[1]) for device in answer["devices"] if isinstance(device, list) and len(device) > 1]
    errors = answer["matmul_error"], answer["convolution_error"]
    if wrong := [error for error in errors if not error <= _LARGEST]:  # NaN is neither
        return Finding(
            "fail", f"TensorFlow's numbers are wrong by {wrong[0]:g}", str(answer), "The card is too new, or broken."
        )
    if context.toolchain.needs_gpu and "GPU" not in kinds:
        return Finding(
            "fail", "TensorFlow sees no GPU", ", ".join(kinds), "Look at the layers above: driver, CUDA and cuDNN."
        )
    return Finding(
        "pass", f"TensorFlow {answer['tensorflow']} on {', '.join(kinds)}; numbers right to {max(errors):.1g}"
    )
