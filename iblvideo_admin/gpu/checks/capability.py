"""Layer 8: the cards and the driver fit the toolchain."""

from __future__ import annotations

from iblvideo_admin.gpu import choice
from iblvideo_admin.gpu.checks.base import Context, Finding

ID, LAYER, NEEDS, NEEDS_GPU = "capability", 8, ("nvml",), True


def check(context: Context) -> Finding:
    """Compute capability within the toolchain's range, driver not below its floor."""
    toolchain, driver = context.toolchain, context.inventory.driver
    cards = choice.allowed(context.settings, context.inventory)
    assert toolchain.capability is not None
    oldest, newest = toolchain.capability
    if wrong := choice.unsuitable(toolchain, cards):
        named = ", ".join(f"{gpu.index} {gpu.name} ({gpu.as_data()['capability'] or 'N/A'})" for gpu in wrong)
        return Finding(
            "fail",
            f"toolchain {toolchain.name} cannot use GPU {named}: it serves compute capability {oldest} to {newest}",
            "",
            f"Use toolchain {choice.recommended(cards)}, or set gpus to the cards that fit.",
        )
    if toolchain.driver_min and _numbers(driver) < _numbers(toolchain.driver_min):
        return Finding(
            "fail",
            f"driver {driver} is older than {toolchain.driver_min}, which {toolchain.name} needs",
            "",
            f"Install a driver from {toolchain.driver_min} on.",
        )
    return Finding("pass", f"all GPUs are within compute capability {oldest} to {newest}")


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (version or "0").split(".") if part.isdigit())
