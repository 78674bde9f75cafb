"""Layer 7: the driver answers through NVML, and names the cards that the PCI bus shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import choice, driver_files, pci_devices
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.inventory import Gpu
from iblvideo_admin.gpu.pci_devices import Card
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

# NVML is asked whatever the layers below say: it is a witness of its own.
ID, LAYER, NEEDS, NEEDS_GPU = "nvml", 7, (), True

_LOG = "`dmesg | grep -E 'NVRM|Xid'`"
_DEVICES = (
    "Give this user the group that `ls -l /dev/nvidia*` shows; in a unit, `DeviceAllow=` /dev/nvidiactl, /dev/nvidia0 "
    "and /dev/nvidia-uvm, and no `PrivateDevices=`."
)
_HOLD = "apt-mark hold $(dpkg -l '*nvidia*' | awk '/^ii/ {print $2}')"
_NO_CARD = "Put in a card and install its driver, or use a toolchain without a GPU."
_POWER = f"Switch the server off (a reboot is not enough) and on again; where it comes back, read {_LOG}."
_REBOOT = f"Type `reboot`. If it comes back, read {_LOG}: heat, the power supply, the slot or the card itself."


@dataclass(frozen=True)
class _Cause:
    """What an error of NVML's means; no remedy: a driver has to be installed."""

    means: str
    remedy: str = ""


_CAUSES = {
    "LibraryNotFound": _Cause("the driver's library libnvidia-ml.so.1 is not installed"),
    "FunctionNotFound": _Cause("the driver is too old to be asked"),
    "DriverNotLoaded": _Cause(
        "the kernel runs no NVIDIA driver", f"Type `modprobe nvidia`; where that fails, {_LOG} says why."
    ),
    "LibRmVersionMismatch": _Cause(
        "the kernel runs another version of the driver than the one installed: an update has replaced it",
        f"Type `reboot`, then keep updates from doing it again: `{_HOLD}`.",
    ),
    "NoPermission": _Cause("this user may not use the driver's device files", _DEVICES),
    "OperatingSystem": _Cause("the operating system keeps this process from the driver", _DEVICES),
    "GpuIsLost": _Cause("it has fallen off the bus", _POWER),
    "ResetRequired": _Cause("it has to be reset", _REBOOT),
    "IrqIssue": _Cause("its interrupts do not arrive", _REBOOT),
    "InsufficientPower": _Cause("it gets too little power", "Connect all of its power cables, then `reboot`."),
    "CorruptedInforom": _Cause("its memory of settings is corrupt", "Have the card replaced."),
    "NoAnswer": _Cause("the driver or a card is stuck", _REBOOT),
    "Unknown": _Cause(
        "the driver gives no reason",
        f"Read {_LOG}, then `reboot`; in a container or a unit, see that it may use /dev/nvidia*.",
    ),
}


def check(context: Context) -> Finding:
    """NVML answers, each card answers, and their number is the bus's."""
    inventory = context.inventory
    bus, unseen = _bus(context.sysroot)
    if inventory.problem is not None:
        return _silent(context, bus, unseen)
    if not inventory.gpus and not bus:
        return Finding("skip", "NVML reports no GPU", unseen or "nor does the PCI bus show a card of NVIDIA", _NO_CARD)
    try:
        mine = choice.allowed(context.settings, inventory)
    except UserError as error:
        listed = ", ".join(f"{gpu.index}: {gpu.name or 'N/A'}" for gpu in inventory.gpus) or "no card"
        missing = Finding(
            "fail", error.message, f"NVML lists {listed}", 'Set gpus to cards that `nvidia-smi -L` lists, or to "all".'
        )
        # that it is on the bus tells more than that it is not listed
        return worst([*(replace(hidden, status="fail") for hidden in _hidden(context, bus)), missing])
    findings = [
        *_lost(inventory.gpus, mine),
        *_nameless(mine),
        *_hidden(context, bus),
        *_unknown_to_the_bus(inventory.gpus, bus, unseen),
    ]
    if inventory.gpus and not mine:
        findings.append(Finding("skip", "the setting gpus allows no card", f"gpus = {context.settings.gpus}",
                                'Set gpus = "all".'))  # fmt: skip
    names = ", ".join(f"{gpu.index}: {gpu.name or 'N/A'}" for gpu in inventory.gpus)
    good = Finding("pass", f"driver {inventory.driver or 'N/A'}, {len(inventory.gpus)} GPU", names)
    return worst([*findings, good]) if findings else good


def _bus(sysroot: Sysroot) -> tuple[tuple[Card, ...], str]:
    """The bus's cards for the driver, and why they may not be all; one given to a virtual machine is none."""
    try:
        bus = pci_devices.look(sysroot)
    except CannotLookError as error:
        return (), str(error)
    return tuple(card for card in bus.cards if card.driver not in ("vfio-pci", "pci-stub")), "; ".join(bus.unread)


def _silent(context: Context, bus: tuple[Card, ...], unseen: str) -> Finding:
    """NVML does not answer at all."""
    inventory = context.inventory
    cause = _CAUSES.get(inventory.error or "", _CAUSES["Unknown"])
    said = f"NVML: {inventory.problem}"
    if inventory.error in ("LibraryNotFound", "DriverNotLoaded") and not bus:
        said = f"{said}; {unseen or 'the PCI bus shows no card of NVIDIA'}"
        return Finding("skip", "no GPU can be seen", said, _NO_CARD)
    remedy = cause.remedy or driver_files.install(_last_branch(bus))
    if inventory.error == "LibRmVersionMismatch":
        return Finding("fail", f"NVML does not answer: {cause.means}", f"{said}; {_versions(context.sysroot)}", remedy)
    if inventory.error == "DriverNotLoaded" and (reasons := _outside(bus, _installed(context))):
        remedy = driver_files.install(_last_branch(bus))
        return Finding("fail", f"NVML does not answer: {'; '.join(reasons)}", said, remedy)
    return Finding("fail", f"NVML does not answer: {cause.means}", said, remedy)


def _lost(cards: tuple[Gpu, ...], mine: tuple[Gpu, ...]) -> list[Finding]:
    """Cards that NVML lists and that do not answer, or not well; those that we may not use matter less."""
    found = []
    for gpu in cards:
        if gpu.problem is None:
            continue
        cause = _CAUSES.get(gpu.error or "", _CAUSES["Unknown"])
        state = "does not answer" if gpu.lost else "answers with errors"
        where = f" at {gpu.pci_address}" if gpu.pci_address else ""
        others = ",".join(str(other.index) for other in cards if not other.lost)
        without = f' To go on without it, set gpus = "{others}".' if gpu.lost and others else ""
        found.append(
            Finding(
                "fail" if gpu.lost and gpu in mine else "warn",
                f"GPU {gpu.index}{f' {gpu.name}' if gpu.name else ''}{where} {state}: {cause.means}",
                f"NVML: {gpu.problem}",
                f"{cause.remedy or driver_files.install()}{without}",
            )
        )
    return found


def _nameless(mine: tuple[Gpu, ...]) -> list[Finding]:
    """Cards that answer, but not to the question by which a job would find them."""
    return [
        Finding(
            "skip",
            f"GPU {gpu.index} {gpu.name or 'N/A'} tells no UUID: no job can be put on it",
            f"NVML: {gpu.problem or 'no UUID, or none that can be read'}",
            f"See what `nvidia-smi -L` says, and {_LOG}.",
        )
        for gpu in mine
        if not gpu.uuid and not gpu.lost
    ]


def _hidden(context: Context, bus: tuple[Card, ...]) -> list[Finding]:
    """Cards on the bus that NVML does not list."""
    inventory = context.inventory
    listed = {gpu.pci_address for gpu in inventory.gpus}
    missing = [card for card in bus if card.address not in listed]
    # NVML cannot tell the address of a card that is lost from the start, but counts it
    if len(missing) <= sum(gpu.pci_address is None for gpu in inventory.gpus):
        return []
    named = ", ".join(map(str, missing))
    outside = _outside(missing, inventory.driver)
    held = [
        f"{card.address} is held by the kernel's driver {card.driver}"
        for card in missing
        if card.driver not in (None, "nvidia")
    ]
    remedy = f"See what {_LOG} says of it."
    if outside:
        remedy = driver_files.install(_last_branch(missing))
    elif held:
        remedy = "Take it from that driver, as layer 2 says."
    if inventory.gpus:
        others = ",".join(str(gpu.index) for gpu in inventory.gpus)
        remedy += f' To go on without it, set gpus = "{others}".'
    return [
        Finding(
            "fail" if context.settings.gpus == "all" or not inventory.gpus else "warn",
            f"the PCI bus shows {len(bus)} of NVIDIA's cards, NVML {len(inventory.gpus)}: {named} is missing",
            "; ".join(outside + held) or f"driver {inventory.driver or 'N/A'}",
            remedy,
        )
    ]


def _unknown_to_the_bus(cards: tuple[Gpu, ...], bus: tuple[Card, ...], unseen: str) -> list[Finding]:
    """Cards that NVML lists and the bus does not show."""
    if unseen:
        return [Finding("warn", "that these are all cards could not be compared with the PCI bus", unseen)]
    addresses = {card.address for card in bus}
    strange = [gpu for gpu in cards if gpu.pci_address and gpu.pci_address not in addresses]
    if not strange and len(cards) <= len(bus):
        return []
    named = ", ".join(f"{gpu.index} at {gpu.pci_address or 'N/A'}" for gpu in strange or cards)
    summary = f"NVML lists {len(cards)} GPU, the PCI bus shows {len(bus)} of NVIDIA's cards"
    return [Finding("warn", summary, f"not on the bus: {named}", "Compare `nvidia-smi -L` with `lspci -d 10de:`.")]


def _outside(cards: Sequence[Card], driver: str | None) -> list[str]:
    """Why a driver of this version ignores cards: its branch is past, or before, those of their family."""
    number = (driver or "").partition(".")[0]
    families = {card.chip.family for card in cards if card.chip} if number.isdecimal() else set()
    found = []
    for family in sorted(families, key=lambda family: family.capability):
        named = ", ".join(str(card) for card in cards if card.chip and card.chip.family == family)
        ignored, branches = f"driver {driver} ignores {named}", f"branch of {family.architecture}'s drivers"
        if family.last_driver and int(number) > int(family.last_driver):
            found.append(f"{ignored}: R{family.last_driver} is the last {branches}")
        if family.first_driver and int(number) < int(family.first_driver):
            found.append(f"{ignored}: R{family.first_driver} is the first {branches}")
    return found


def _installed(context: Context) -> str | None:
    """The version of the driver's libraries, where there is one."""
    try:
        return next(iter(driver_files.library_versions(context.sysroot)), None)
    except CannotLookError:
        return None


def _versions(sysroot: Sysroot) -> str:
    """The kernel's version and the libraries', the two that do not fit."""
    try:
        loaded, libraries = driver_files.loaded_version(sysroot)[0], driver_files.library_versions(sysroot)
    except CannotLookError as error:
        return str(error)
    return f"the kernel runs {loaded}, installed is {', '.join(libraries) or 'N/A'}"


def _last_branch(cards: Iterable[Card]) -> str | None:
    """The newest branch that still knows all of the cards; None where new drivers do."""
    branches = {card.chip.family.last_driver for card in cards if card.chip and card.chip.family.last_driver}
    return min((branch for branch in branches if branch), key=int, default=None)
