"""Layer 1: the bus shows NVIDIA cards, and they answer."""

from __future__ import annotations

from iblvideo_admin.gpu import driver_files, pci_devices
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.pci_devices import Bus, Card
from iblvideo_admin.gpu.reach import WITHOUT_GPU
from iblvideo_admin.gpu.sysroot import CannotLookError

ID, LAYER, NEEDS, NEEDS_GPU = "pci", 1, (), True
_POWER = "Switch the server off (a reboot is not enough), check the card's seat and power cables, switch it on again."


def check(context: Context) -> Finding:
    """Cards by address, name, chip family; those that have fallen off the bus."""
    bus = pci_devices.look(context.sysroot)
    if not bus.cards:
        return _none(context, bus)
    findings = [context.about(card.address, _card(card)) for card in bus.cards]
    if bus.unread:
        findings.append(Finding("warn", "a device on the bus could not be read", bus.unread[0]))
    return worst(findings)


def _card(card: Card) -> Finding:
    if not card.answers:
        return Finding("fail", f"the card {card} does not answer: it has fallen off the bus", card.pci_id, _POWER)
    if not (chip := card.chip):
        return Finding("pass", f"{card} (unknown chip family)", card.pci_id)
    oldest, newest = (".".join(map(str, end)) for end in chip.capability)
    capability = oldest if oldest == newest else f"{oldest} to {newest}"
    return Finding("pass", f"{card} ({chip.family.architecture}, {capability})", card.pci_id)


def _none(context: Context, bus: Bus) -> Finding:
    """No card: a fault where a driver waits for one, else a host that was never meant to have one."""
    if bus.unread:
        raise CannotLookError(bus.unread[0])
    seen = f"no NVIDIA display device in {pci_devices.DEVICES}"
    if listed := context.inventory.gpus:
        named = ", ".join(f"{gpu.name or 'N/A'} at {gpu.pci_address or 'N/A'}" for gpu in listed)
        return Finding(
            "fail",
            f"the PCI bus shows no NVIDIA card, but NVML lists {len(listed)}",
            f"{seen}; NVML: {named}",
            "Compare `lspci -d 10de:` with `nvidia-smi -L`; a container must see the host's own /sys.",
        )
    try:
        libraries = driver_files.library_versions(context.sysroot)
    except CannotLookError:
        libraries = {}
    if libraries:
        said = f"{seen}; {', '.join(libraries.values())}"
        return Finding("fail", "NVIDIA's driver is installed, but there is no NVIDIA card on the PCI bus", said, _POWER)
    return Finding("skip", "there is no NVIDIA card on the PCI bus", seen,
                   f"Put in a card, or use toolchain {WITHOUT_GPU}, which needs none.")  # fmt: skip
