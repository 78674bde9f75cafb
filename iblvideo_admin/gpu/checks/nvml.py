"""Layer 7: the driver answers through NVML."""

from __future__ import annotations

from iblvideo_admin.gpu import choice
from iblvideo_admin.gpu.checks.base import Context, Finding

ID, LAYER, NEEDS, NEEDS_GPU = "nvml", 7, (), True


def check(context: Context) -> Finding:
    """Cards and driver as NVML reports them."""
    cards = context.inventory
    if cards.problem is not None or not cards.gpus:
        return Finding(
            "skip" if cards.problem is None or "Not Found" in cards.problem else "fail",
            "no GPU can be seen: there is no card, or no NVIDIA driver",
            cards.problem or "NVML reports no card",
            "Put in a card and install NVIDIA's driver (role nvidia_driver), or use a toolchain without a GPU.",
        )
    if not choice.allowed(context.settings, cards):
        return Finding("skip", "the setting gpus allows no card", context.settings.gpus, "Set gpus to all.")
    names = ", ".join(f"{gpu.index}: {gpu.name or 'N/A'}" for gpu in cards.gpus)
    return Finding("pass", f"driver {cards.driver or 'N/A'}, {len(cards.gpus)} GPU", names)
