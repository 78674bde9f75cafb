"""Which toolchain suits a host's cards."""

from __future__ import annotations

from iblvideo_admin import toolchains
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain

ON_GPU, WITHOUT_GPU = "dlc-tf1-cuda10.0", "dlc-tf1-cpu"


def recommended(inventory: Inventory) -> str:
    """The toolchain for these cards: the reference where each of them can run it, else the one without a GPU."""
    reference = toolchains.load(ON_GPU)
    if inventory.gpus and all(_serves(reference, gpu) for gpu in inventory.gpus):
        return ON_GPU
    return WITHOUT_GPU


def resolve(settings: Settings, inventory: Inventory) -> Toolchain:
    """The configured toolchain, ``auto`` resolved.  Raises ``toolchain.unknown``."""
    return toolchains.load(recommended(inventory) if settings.toolchain == "auto" else settings.toolchain)


def unsuitable(toolchain: Toolchain, inventory: Inventory) -> tuple[Gpu, ...]:
    """The cards that the toolchain cannot use."""
    return tuple(gpu for gpu in inventory.gpus if not _serves(toolchain, gpu))


def _serves(toolchain: Toolchain, gpu: Gpu) -> bool:
    return gpu.capability is not None and toolchain.serves(".".join(map(str, gpu.capability)))
