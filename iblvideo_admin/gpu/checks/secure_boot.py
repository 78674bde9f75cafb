"""Layer 3: Secure Boot does not keep the kernel from taking NVIDIA's module."""

from __future__ import annotations

from iblvideo_admin.gpu import driver_files, driver_messages, kernel
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

ID, LAYER, NEEDS, NEEDS_GPU = "secure_boot", 3, ("pci",), True
_FIRMWARE = "/sys/firmware"
_VARIABLES = f"{_FIRMWARE}/efi/efivars"
_NAME = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")  # Ubuntu's, DKMS's own


def check(context: Context) -> Finding:
    """The firmware's variable; where it is on, whether the module is loaded, refused, or not signed at all."""
    sysroot = context.sysroot
    loaded = kernel.surely_loaded(sysroot, "nvidia")
    try:
        on, seen = _enabled(sysroot)
    except CannotLookError as error:
        if loaded:
            return Finding("warn", "whether Secure Boot is on cannot be seen; the module is loaded anyway", str(error))
        raise
    if not on:
        return Finding("pass", seen, _VARIABLES)
    if loaded:
        return Finding("pass", "Secure Boot is on, and the kernel has taken NVIDIA's module", "/proc/modules")
    return _refused(sysroot, seen)


def _enabled(sysroot: Sysroot) -> tuple[bool, str]:
    """Whether Secure Boot is on, and how we know."""
    if not sysroot.exists(f"{_FIRMWARE}/efi"):
        if not sysroot.names(_FIRMWARE):
            raise CannotLookError(f"{_FIRMWARE} is hidden or empty")
        return False, "there is no EFI firmware, so no Secure Boot"
    names = sysroot.names(_VARIABLES)
    if not names:
        raise CannotLookError(f"{_VARIABLES} is empty: efivarfs is not mounted there")
    if _NAME not in names:
        return False, "the firmware knows no Secure Boot"
    content = sysroot.text(f"{_VARIABLES}/{_NAME}") or ""
    if len(content) != 5 or content[4] not in "\0\1":  # four bytes of attributes, then the value
        raise CannotLookError(f"{_VARIABLES}/{_NAME} is not as the firmware writes it")
    on = content[4] == "\1"
    return on, f"Secure Boot is {'on' if on else 'off'}"


def _refused(sysroot: Sysroot, seen: str) -> Finding:
    """Secure Boot is on and the module is not loaded: whether the one is why the other."""
    key = next((path for path in _KEYS if sysroot.exists(path)), None)
    remedy = (
        f"Run `mokutil --import {key or _KEYS[1]}`, set a password, reboot and choose Enroll MOK in the blue screen; "
        "or switch Secure Boot off in the firmware's set-up."
    )
    unknown = ""
    try:
        line = driver_messages.unsigned(kernel.log(sysroot))
    except CannotLookError as error:
        line, unknown = None, str(error)
    if line:
        return Finding(
            "fail", "Secure Boot is on, and the kernel refuses the module: its key is not enrolled", line, remedy
        )
    try:
        file = driver_files.module_file(sysroot, kernel.release(sysroot))
    except CannotLookError as error:
        file, unknown = None, str(error)
    if file and file.signed is False:
        return Finding("fail", "Secure Boot is on, and NVIDIA's module is not signed", file.path, remedy)
    return Finding("warn", "Secure Boot is on: NVIDIA's module must be signed with an enrolled key, and is not loaded",
                   unknown or seen, remedy)  # fmt: skip
