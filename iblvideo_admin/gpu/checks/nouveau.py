"""Layer 2: no other driver, above all nouveau, holds a card."""

from __future__ import annotations

from iblvideo_admin.gpu import kernel, pci_devices
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.pci_devices import Card
from iblvideo_admin.gpu.sysroot import CannotLookError

ID, LAYER, NEEDS, NEEDS_GPU = "nouveau", 2, ("pci",), True
_OURS = (None, "nvidia")
_UPDATE = "Run `update-initramfs -u` and reboot."
_BLACKLIST = (
    r"Run `printf 'blacklist nouveau\noptions nouveau modeset=0\n' > /etc/modprobe.d/blacklist-nouveau.conf`, "
    "then `update-initramfs -u`, and reboot."
)


def check(context: Context) -> Finding:
    """Who holds each card; whether nouveau is loaded, or would be at the next start."""
    cards = pci_devices.look(context.sysroot).cards
    held = [card for card in cards if card.driver not in _OURS]
    if held:
        only = len(held) == len(cards)
        return worst([context.about(card.address, _held(context, card, only=only)) for card in held])
    return _nouveau(context)


def _held(context: Context, card: Card, *, only: bool) -> Finding:
    """``only``: there is no card left for us."""
    seen = f"{pci_devices.DEVICES}/{card.address}/driver -> {card.driver}"
    if card.driver == "nouveau":
        return Finding("fail", f"nouveau, not NVIDIA's driver, holds the card {card}", seen, _keep_out(context))
    return Finding(
        "fail" if only else "warn",
        f"the driver {card.driver}, not NVIDIA's, holds the card {card}",
        seen,
        f"Where a virtual machine is to have it (vfio-pci), use another card; else take the setting for {card.driver} "
        "out of /etc/modprobe.d and the kernel's command line, run `update-initramfs -u` and reboot.",
    )


def _nouveau(context: Context) -> Finding:
    loaded = "nouveau" in kernel.modules(context.sysroot)
    if loaded:
        return Finding("warn", "nouveau is loaded, though it holds no card", "/proc/modules", _keep_out(context))
    try:
        line = kernel.barred(context.sysroot, "nouveau")
    except CannotLookError as error:
        return Finding("warn", "nouveau is not loaded; whether it will be at the next start cannot be seen", str(error))
    if line:
        return Finding("pass", "nouveau is not loaded, and is kept from loading", line)
    return Finding("warn", "nouveau is not loaded, but nothing keeps it from taking the card at the next start",
                   "no `blacklist nouveau` in /etc/modprobe.d", _BLACKLIST)  # fmt: skip


def _keep_out(context: Context) -> str:
    """What to do against nouveau: it may be blacklisted already, but not in the initramfs, which loads it first."""
    try:
        return _UPDATE if kernel.barred(context.sysroot, "nouveau") else _BLACKLIST
    except CannotLookError:
        return _BLACKLIST
