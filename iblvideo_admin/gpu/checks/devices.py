"""Layer 6: the device nodes are there, and this user may read and write them."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from contextlib import suppress

from iblvideo_admin.gpu import pci_devices
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

ID, LAYER, NEEDS, NEEDS_GPU = "devices", 6, ("module",), True
_GPUS = "/proc/driver/nvidia/gpus"
_MINOR = re.compile(r"^Device Minor:\s*(\d+)\s*$", re.MULTILINE)
_SANDBOX = (
    "In the unit set `PrivateDevices=no` and `DeviceAllow=char-nvidia* rw`, and restart it; into a container pass the "
    "devices on (`--gpus all`)."
)


def check(context: Context) -> Finding:
    """A node for each card, nvidiactl and nvidia-uvm; whether this process is locked out of them."""
    sysroot = context.sysroot
    present = sysroot.names("/dev")
    if not present:
        raise CannotLookError("/dev is hidden or empty")
    numbered = _numbered(context)
    missing = [name for name in ("nvidiactl", *numbered) if name not in present]
    if missing:
        return _missing(missing, present, numbered)
    if "nvidia-uvm" not in present:
        return Finding("fail", "the device /dev/nvidia-uvm is missing, without which CUDA does not start",
                       f"in /dev: {', '.join(['nvidiactl', *numbered])}", "Run `nvidia-modprobe -u -c=0`.")  # fmt: skip
    nodes = [f"/dev/{name}" for name in ("nvidiactl", *numbered, "nvidia-uvm")]
    wrong = [finding for node in nodes if (finding := _unusable(sysroot, node, _create(numbered)))]
    return worst(wrong) if wrong else Finding("pass", "the devices are there and may be used", ", ".join(nodes))


def _numbered(context: Context) -> list[str]:
    """The nodes that our cards have; raises CannotLookError."""
    sysroot, names = context.sysroot, []
    for address in filter(context.concerns, sysroot.names(_GPUS)):
        path = f"{_GPUS}/{address}/information"
        match = _MINOR.search(sysroot.text(path) or "")
        if not match:
            raise CannotLookError(f"{path} tells no device minor")
        names.append(f"nvidia{match[1]}")
    if not names:
        held = [card for card in pci_devices.look(sysroot).cards if card.driver == "nvidia"]
        names = [f"nvidia{number}" for number, card in enumerate(held) if context.concerns(card.address)]
    if not names:
        raise CannotLookError("no card is held by the driver")
    return names


def _missing(missing: list[str], present: list[str], numbered: list[str]) -> Finding:
    named = ", ".join(f"/dev/{name}" for name in missing)
    if len(missing) > len(numbered) and "kmsg" not in present:  # what a /dev made for one process leaves out
        return Finding(
            "fail",
            f"this process sees a /dev of its own, without the cards' devices ({named})",
            f"the driver knows cards, but /dev holds only {', '.join(present[:12])}",
            _SANDBOX,
        )
    seen = ", ".join(name for name in present if name.startswith("nvidia")) or "no nvidia device at all"
    return Finding("fail", f"devices are missing: {named}", f"in /dev: {seen}", _create(numbered))


def _create(numbered: list[str]) -> str:
    minors = " ".join(f"-c={name.removeprefix('nvidia')}" for name in numbered)
    return (
        f"Run `nvidia-modprobe -u {minors}`; that they are there after every start, "
        "`systemctl enable --now nvidia-persistenced`."
    )


def _unusable(sysroot: Sysroot, node: str, create: str) -> Finding | None:
    """What is wrong with a node; a described machine may have a file or a pipe in a node's place."""
    path = sysroot.path(node)
    try:
        about = path.stat()
    except OSError as error:
        raise CannotLookError(f"{node} cannot be looked at: {error.strerror}") from error
    kind = about.st_mode
    described = str(sysroot.root) != "/" and (stat.S_ISFIFO(kind) or stat.S_ISREG(kind))
    if not stat.S_ISCHR(kind) and not described:
        return Finding("fail", f"{node} is not a device", stat.filemode(kind), f"Run `rm -r {node}`. {create}")
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return _forbidden(node, about)
    if stat.S_ISCHR(kind) and not node[-1].isdigit():  # to open a card itself could take it seconds to wake
        return _closed(sysroot, node, create)
    return None


def _forbidden(node: str, about: os.stat_result) -> Finding:
    user, group = str(os.geteuid()), str(about.st_gid)
    with suppress(KeyError):
        user = pwd.getpwuid(os.geteuid()).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(about.st_gid).gr_name
    of_group = about.st_gid != 0 and about.st_mode & 0o060 == 0o060
    remedy = (
        f"Run `usermod -aG {group} {user}` and log in again (for a service: restart it)."
        if of_group
        else "Run `echo options nvidia NVreg_DeviceFileMode=0666 > /etc/modprobe.d/nvidia-devices.conf` and reboot."
    )
    return Finding("fail", f"the user {user} may not read and write {node}",
                   f"{stat.filemode(about.st_mode)} group {group}", remedy)  # fmt: skip


def _closed(sysroot: Sysroot, node: str, create: str) -> Finding | None:
    """Whether opening it is forbidden though its mode allows it: a unit's DeviceAllow, a container's rules."""
    try:
        os.close(os.open(sysroot.path(node), os.O_RDWR | os.O_NONBLOCK))
    except PermissionError as error:
        return Finding(
            "fail", f"{node} may not be opened here, though its mode allows it", str(error.strerror), _SANDBOX
        )
    except OSError as error:
        return Finding("fail", f"{node} cannot be opened", str(error.strerror), f"Run `rm {node}`. {create}")
    return None
