"""Layer 5: the kernel runs NVIDIA's module, of the libraries' version, on every card, without errors in its log."""

from __future__ import annotations

from iblvideo_admin.gpu import driver_files, driver_messages, kernel, pci_devices
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.pci_devices import Card
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

ID, LAYER, NEEDS, NEEDS_GPU = "module", 5, ("pci", "nouveau", "secure_boot", "headers"), True
_LOG = "Run it as root, or let the user read the kernel log: `usermod -aG adm USER`, with rsyslog installed."
_HOLD = "so that it does not come again, hold the driver's packages back from unattended-upgrades (`apt-mark hold`)"


def check(context: Context) -> Finding:
    """Loaded or not and why not; cards that it does not hold; its version against the libraries'; Xid errors."""
    sysroot = context.sysroot
    cards = pci_devices.look(sysroot).cards
    try:
        log: list[str] | CannotLookError = kernel.log(sysroot)
    except CannotLookError as error:
        log = error
    if "nvidia" not in kernel.modules(sysroot):
        return _absent(sysroot, cards, log)
    version, line = driver_files.loaded_version(sysroot)
    held = [card for card in cards if card.driver == "nvidia"]
    findings = [Finding("pass", f"driver {version} is loaded and holds {len(held)} of {len(cards)} cards", line)]
    findings += [context.about(card.address, _not_held(card, version, log)) for card in cards if card.driver is None]
    findings.append(_libraries(sysroot, version))
    findings += _log(context, log, all_held=held == list(cards))
    return worst(findings)


def _absent(sysroot: Sysroot, cards: tuple[Card, ...], log: list[str] | CannotLookError) -> Finding:
    """The module is not loaded: the first reason that can be found."""
    summary = "NVIDIA's module is not loaded"
    try:
        file = driver_files.module_file(sysroot, kernel.release(sysroot))
    except CannotLookError:
        file = None
    if file and file.version:
        for card in cards:
            if unsuited := _unsuited(card, file.version):
                return unsuited
    if isinstance(log, list) and (refusal := driver_messages.refusal(log, held=False)):
        return Finding("fail", f"{summary}; {refusal.summary}", refusal.evidence, refusal.remedy)
    try:
        bar = kernel.barred(sysroot, "nvidia")
    except CannotLookError:
        bar = None
    if bar:
        return Finding("fail", f"{summary}: a setting keeps it from loading", bar,
                       "Take that line out, run `update-initramfs -u` and reboot.")  # fmt: skip
    seen = "no nvidia in /proc/modules" + (f"; {log}" if isinstance(log, CannotLookError) else "")
    return Finding(
        "fail", summary, seen, "Run `modprobe nvidia`; where it fails, `dmesg | grep -iE 'nvidia|NVRM'` says why."
    )


def _not_held(card: Card, version: str, log: list[str] | CannotLookError) -> Finding:
    """A card that the loaded module does not hold."""
    if unsuited := _unsuited(card, version):
        return unsuited
    if isinstance(log, list) and (refusal := driver_messages.refusal(log, held=False)):
        return Finding("fail", f"the driver does not hold the card {card}; {refusal.summary}",
                       refusal.evidence, refusal.remedy)  # fmt: skip
    seen = f"{pci_devices.DEVICES}/{card.address} has no driver"
    return Finding("fail", f"the driver does not hold the card {card}", seen,
                   "Run `dmesg | grep NVRM` to see why; then reboot, or replace the driver.")  # fmt: skip


def _unsuited(card: Card, version: str) -> Finding | None:
    """Whether the card's family is beyond this driver's reach, at either end."""
    chip, branch = card.chip, driver_files.branch(version)
    if chip and chip.family.last_driver and branch > int(chip.family.last_driver):
        family = chip.family
        return Finding(
            "fail",
            f"driver {version} no longer knows the card {card}: "
            f"the last branch for {family.architecture} is {family.last_driver}",
            card.pci_id,
            driver_files.install(family.last_driver),
        )
    if chip and chip.family.first_driver and branch < int(chip.family.first_driver):
        return Finding(
            "fail",
            f"driver {version} does not yet know the card {card}: {chip.family.architecture} needs "
            f"{chip.family.first_driver} or newer",
            card.pci_id,
            driver_files.install(),
        )
    return None


def _libraries(sysroot: Sysroot, version: str) -> Finding:
    """NVML and CUDA refuse to work with a kernel module of another version."""
    try:
        versions = driver_files.library_versions(sysroot)
    except CannotLookError as error:
        return Finding("warn", "the driver's libraries cannot be looked at", str(error))
    seen = ", ".join(versions.values())
    if not versions:
        return Finding("warn", "the driver's libraries (libnvidia-ml, libcuda) are in none of the usual folders",
                       ", ".join(driver_files.LIBRARIES), driver_files.install())  # fmt: skip
    if version not in versions:
        return Finding(
            "fail",
            f"the kernel runs driver {version}, but the libraries are of {', '.join(versions)}: an update came between",
            seen,
            f"Reboot; {_HOLD}.",
        )
    if len(versions) > 1:
        return Finding("warn", f"libraries of several drivers are installed: {', '.join(versions)}", seen,
                       f"Remove those that are not of {version}.")  # fmt: skip
    return Finding("pass", "the libraries are of the same version", seen)


def _log(context: Context, log: list[str] | CannotLookError, *, all_held: bool) -> list[Finding]:
    if isinstance(log, CannotLookError):
        return [
            Finding("warn", "the kernel log cannot be read: whether there were Xid errors is not known", str(log), _LOG)
        ]
    findings = [context.about(card, xid) for card, xid in driver_messages.xids(log)]
    if all_held and (refusal := driver_messages.refusal(log, held=True)):
        findings.append(context.about(driver_messages.card_of(refusal.evidence), refusal))
    return findings or [Finding("pass", "no Xid error since the boot")]
