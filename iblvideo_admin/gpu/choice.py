"""Which toolchain suits a host's cards."""

from __future__ import annotations

from iblvideo_admin import toolchains
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import pci_devices
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.gpu.reach import WITHOUT_GPU, dotted, toolchain_for
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain


def recommended(cards: tuple[Gpu, ...]) -> str:
    """The toolchain for these cards: the reference where each of them can run it, else the one without a GPU."""
    return toolchain_for((gpu.capability, gpu.capability) if gpu.capability else None for gpu in cards)


def recommended_here(settings: Settings, inventory: Inventory, sysroot: Sysroot | None = None) -> str:
    """The toolchain for the cards that we may use, by the PCI bus's word where the driver does not tell what they are.

    A card that the settings name and the driver does not list is no error here: check-gpu looks for the reason.
    Raises ``settings.invalid`` where the setting is not even a list of numbers.
    """
    numbers = _numbers(settings)
    cards = tuple(gpu for gpu in inventory.gpus if numbers is None or gpu.index in numbers)
    listed = bool(cards) and (numbers is None or len(cards) == len(numbers))
    if numbers == frozenset() or (listed and all(gpu.capability for gpu in cards)):
        return recommended(cards)
    try:
        bus = pci_devices.look(sysroot or Sysroot()).cards
    except CannotLookError:
        return WITHOUT_GPU
    # NVML numbers the cards in the order of the bus
    mine = [card for number, card in enumerate(bus) if numbers is None or number in numbers]
    return toolchain_for(card.chip.capability if card.chip else None for card in mine)


def resolve(settings: Settings, inventory: Inventory) -> Toolchain:
    """The configured toolchain, ``auto`` resolved.  Raises ``toolchain.unknown``."""
    # a driver that has died overnight must not move a server's jobs to the CPU
    return toolchains.load(
        recommended_here(settings, inventory) if settings.toolchain == "auto" else settings.toolchain
    )


def unsuitable(toolchain: Toolchain, cards: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Those of the cards that the toolchain cannot use, or that no job can be put on."""
    return tuple(gpu for gpu in cards if gpu.lost or not gpu.uuid or not serves(toolchain, gpu))


def serves(toolchain: Toolchain, gpu: Gpu) -> bool:
    """Whether the card's compute capability is within the toolchain's range; not where it is not reported."""
    return gpu.capability is not None and toolchain.serves(dotted(gpu.capability))


def allowed(settings: Settings, inventory: Inventory) -> tuple[Gpu, ...]:
    """The cards that the setting ``gpus`` leaves to us.  Raises ``settings.invalid``."""
    numbers = _numbers(settings)
    if numbers is None:
        return inventory.gpus
    # a driver that does not answer is another matter than a wrong setting: check-gpu says which
    if inventory.problem is None and (missing := numbers - {gpu.index for gpu in inventory.gpus}):
        raise UserError("settings.invalid", f"gpus names card {min(missing)}, which is not there")
    return tuple(gpu for gpu in inventory.gpus if gpu.index in numbers)


def addresses(settings: Settings, inventory: Inventory) -> frozenset[str] | None:
    """Where on the PCI bus the cards lie that the setting ``gpus`` leaves to us; None: all, or not to be told.

    Raises ``settings.invalid``.
    """
    numbers = _numbers(settings)
    own = frozenset(gpu.pci_address for gpu in inventory.gpus if numbers and gpu.index in numbers and gpu.pci_address)
    return own if numbers and len(own) == len(numbers) else None


def _numbers(settings: Settings) -> frozenset[int] | None:
    """Of the cards that the setting ``gpus`` names; None: all.  Raises ``settings.invalid``."""
    if settings.gpus in ("all", "none"):
        return None if settings.gpus == "all" else frozenset()
    try:
        return frozenset(int(part) for part in settings.gpus.split(","))
    except ValueError:
        raise UserError("settings.invalid", f"gpus must be all, none or numbers, not {settings.gpus!r}") from None
