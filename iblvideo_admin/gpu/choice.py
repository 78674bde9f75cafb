"""Which toolchain suits a host's cards."""

from __future__ import annotations

from iblvideo_admin import toolchains
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain

ON_GPU, WITHOUT_GPU = "dlc-tf1-cuda10.0", "dlc-tf1-cpu"


def recommended(cards: tuple[Gpu, ...]) -> str:
    """The toolchain for these cards: the reference where each of them can run it, else the one without a GPU."""
    reference = toolchains.load(ON_GPU)
    if cards and all(_serves(reference, gpu) for gpu in cards):
        return ON_GPU
    return WITHOUT_GPU


def resolve(settings: Settings, inventory: Inventory) -> Toolchain:
    """The configured toolchain, ``auto`` resolved.  Raises ``toolchain.unknown``."""
    return toolchains.load(
        recommended(allowed(settings, inventory)) if settings.toolchain == "auto" else settings.toolchain
    )


def unsuitable(toolchain: Toolchain, cards: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Those of the cards that the toolchain cannot use."""
    return tuple(gpu for gpu in cards if not _serves(toolchain, gpu))


def allowed(settings: Settings, inventory: Inventory) -> tuple[Gpu, ...]:
    """The cards that the setting ``gpus`` leaves to us.  Raises ``settings.invalid``."""
    if settings.gpus in ("all", "none"):
        return inventory.gpus if settings.gpus == "all" else ()
    try:
        numbers = {int(part) for part in settings.gpus.split(",")}
    except ValueError:
        raise UserError("settings.invalid", f"gpus must be all, none or numbers, not {settings.gpus!r}") from None
    # a driver that does not answer is another matter than a wrong setting: check-gpu says which
    if inventory.problem is None and (missing := numbers - {gpu.index for gpu in inventory.gpus}):
        raise UserError("settings.invalid", f"gpus names card {min(missing)}, which is not there")
    return tuple(gpu for gpu in inventory.gpus if gpu.index in numbers)


def _serves(toolchain: Toolchain, gpu: Gpu) -> bool:
    return gpu.capability is not None and toolchain.serves(".".join(map(str, gpu.capability)))
