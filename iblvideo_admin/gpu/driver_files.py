"""NVIDIA's driver as it lies on the disk: the kernel's module, DKMS's tree, the libraries that programs load."""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass

from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

MODULES, DKMS = "/lib/modules", "/var/lib/dkms"
LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib64", "/usr/lib")
_VERSION = r"(\d{3}\.\d{1,3}(?:\.\d{1,3})?)"
# nvidia.ko, nvidia.ko.zst, Debian's nvidia-current.ko and nvidia-legacy-470xx.ko; not nvidia-uvm.ko, nvidiafb.ko
_FILE = re.compile(r"nvidia(-(current|legacy|tesla|open|srv|server|\d+xx|\d+))*\.ko(\.xz|\.zst|\.gz)?")
_PACKAGE = re.compile(r"nvidia(-[\w-]+)?")
_FOLDERS = (
    "updates/dkms",
    "updates",
    "extra",
    "extra/nvidia",
    "misc",
    "kernel/drivers/video",
    "kernel/drivers/char/drm",
)
_PREBUILT = re.compile(r"nvidia-[\w-]+")
_DEBIAN = {"470": "nvidia-tesla-470-driver", "580": "nvidia-driver"}  # the latter is of 535 in Debian 12
_SIGNED = b"~Module signature appended~\n"


@dataclass(frozen=True)
class ModuleFile:
    """A module for one kernel.  ``version`` and ``signed`` are None where the file is compressed."""

    path: str
    version: str | None
    signed: bool | None

    @property
    def prebuilt(self) -> bool:
        """From a package that brings it ready, not built on this host."""
        return "/kernel/nvidia-" in self.path


@dataclass(frozen=True)
class Build:
    """One version of the driver that DKMS knows."""

    package: str
    version: str
    kernels: tuple[str, ...]
    """Those that it is built for."""
    failure: str
    """The last word of the build that failed; empty where none did."""


def module_file(sysroot: Sysroot, kernel: str) -> ModuleFile | None:
    """The driver's module for a kernel; None where there is none.  Raises CannotLookError."""
    base = f"{MODULES}/{kernel}"
    prebuilt = [f"kernel/{name}" for name in sysroot.names(f"{base}/kernel") if _PREBUILT.fullmatch(name)]
    for folder in (*_FOLDERS, *prebuilt):
        for name in sysroot.names(f"{base}/{folder}"):
            if _FILE.fullmatch(name):
                path = f"{base}/{folder}/{name}"
                return ModuleFile(path, *_read(sysroot, path))
    return None


def kernels(sysroot: Sysroot) -> list[str]:
    """The installed kernels, oldest first; what a removed one has left does not count.  Raises CannotLookError."""
    found = [name for name in sysroot.names(MODULES) if sysroot.exists(f"{MODULES}/{name}/kernel")]
    return sorted(found, key=_order)


def headers(sysroot: Sysroot, kernel: str) -> str | None:
    """Where the kernel's headers lie; None where the link to them is missing or dangling.  Raises CannotLookError."""
    link = f"{MODULES}/{kernel}/build"
    if not sysroot.exists(link):
        return None
    path = sysroot.path(link)
    if not path.is_symlink():
        return link
    target = str(path.readlink())
    if not target.startswith("/"):
        target = f"{MODULES}/{kernel}/{target}"
    return target if sysroot.exists(target) else None


def builds(sysroot: Sysroot) -> list[Build]:
    """What DKMS knows of the driver.  Raises CannotLookError."""
    found = []
    for package in sysroot.names(DKMS):
        if not _PACKAGE.fullmatch(package):
            continue
        for version in sysroot.names(f"{DKMS}/{package}"):
            if re.fullmatch(_VERSION, version):
                base = f"{DKMS}/{package}/{version}"
                known = sysroot.names(base)
                built = tuple(name for name in known if name not in ("source", "build"))
                found.append(Build(package, version, built, _failure(sysroot, base) if "build" in known else ""))
    return found


def library_versions(sysroot: Sysroot) -> dict[str, str]:
    """The versions of libnvidia-ml and libcuda in the usual folders -> where.  Raises CannotLookError.

    The one that the link ``.so.1`` names, where it is in the same folder; else all.
    """
    found: dict[str, str] = {}
    for folder in LIBRARIES:
        names = sysroot.names(folder)
        for library in ("libnvidia-ml.so", "libcuda.so"):
            own = [match for name in names if (match := re.fullmatch(rf"{re.escape(library)}\.{_VERSION}", name))]
            link = sysroot.path(f"{folder}/{library}.1")
            linked = link.readlink().name if f"{library}.1" in names and link.is_symlink() else ""
            chosen = [match for match in own if match[0] == linked] or own
            for match in chosen:
                found.setdefault(match[1], f"{folder}/{match[0]}")
    return found


def loaded_version(sysroot: Sysroot) -> tuple[str, str]:
    """The version that the kernel runs, and the line that says so.  Raises CannotLookError."""
    path = "/sys/module/nvidia/version"
    text = (sysroot.text(path) or "").strip()
    if re.fullmatch(_VERSION, text):
        return text, f"{path}: {text}"
    path = "/proc/driver/nvidia/version"
    line = ((sysroot.text(path) or "").splitlines() or [""])[0]
    if match := re.search(rf"Kernel Module (?:for \S+)?\s*{_VERSION}\s", line):
        return match[1], f"{path}: {line.strip()}"
    raise CannotLookError(
        "neither /sys/module/nvidia/version nor /proc/driver/nvidia/version tells the driver's version"
    )


def install(limit: str | None = None) -> str:
    """How to install a driver, not newer than the branch ``limit``."""
    if limit:
        debian = f", on Debian `apt-get install {_DEBIAN[limit]}`" if limit in _DEBIAN else ""
        return (
            f"Install a driver of the branch {limit}: on Ubuntu `apt-get install nvidia-driver-{limit}`{debian}, "
            "or from nvidia.com; hold it with `apt-mark hold`; reboot."
        )
    return (
        "Install NVIDIA's driver: on Ubuntu `ubuntu-drivers install`, on Debian `apt-get install linux-headers-amd64 "
        "nvidia-driver` (components contrib, non-free and non-free-firmware); then reboot."
    )


def branch(version: str) -> int:
    """470 of 470.256.02."""
    return int(version.partition(".")[0])


def _read(sysroot: Sysroot, path: str) -> tuple[str | None, bool | None]:
    """Version and whether there is a signature, from the object file itself: no modinfo is run."""
    try:
        with (
            open(sysroot.path(path), "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if not path.endswith(".ko"):
                return None, None
            start = max(0, content.find(b"\0version="))
            match = re.match(rb"\0version=" + _VERSION.encode() + rb"\0", content[start : start + 40])
            signed = content[-len(_SIGNED) :] == _SIGNED
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise CannotLookError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not match:
        raise CannotLookError(f"{path} names no version")
    return match[1].decode(), signed


def _failure(sysroot: Sysroot, base: str) -> str:
    try:
        lines = (sysroot.text(f"{base}/build/make.log") or "").split("\n")
    except CannotLookError as error:
        return str(error)
    said = [line.strip() for line in lines if line.strip()]
    wrong = [line for line in said if re.search(r"\berror\b", line, re.IGNORECASE)]
    return (wrong or said or ["no make.log"])[0][:200]


def _order(release: str) -> list[tuple[int, int | str]]:
    """6.1.0-9 before 6.1.0-25."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|[^\d]+", release)]
