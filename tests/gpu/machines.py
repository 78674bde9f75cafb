"""Machines as folders: what ``/proc``, ``/sys``, ``/dev``, ``/lib/modules`` ... of a host with NVIDIA cards hold.

``working(tmp_path, "10de:1b06")`` is one where every layer below NVML is as it should be; the methods of
:class:`Machine` build others piece by piece, or break one that works. Texts are written as the kernel, the driver,
DKMS and Debian's or Ubuntu's packages write them.
"""

from __future__ import annotations

import importlib
import os
import shutil
from functools import cache
from pathlib import Path

from iblvideo_admin import toolchains
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot
from iblvideo_admin.settings import Settings

KERNEL = "6.1.0-25-amd64"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
EFIVAR = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
PCI_IDS = """\
#
#	List of PCI IDs
#
#	Version: 2026.08.22
#
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t1b06  not NVIDIA's
10de  NVIDIA Corporation
\t102d  GK210GL [Tesla K80]
\t\t10de 106c  Tesla K80
\t1180  GK104 [GeForce GTX 680]
\t13c2  GM204 [GeForce GTX 970]
\t1b06  GP102 [GeForce GTX 1080 Ti]
\t\t1043 85e4  GeForce GTX 1080 Ti
\t1db4  GV100GL [Tesla V100 PCIe 16GB]
\t1e04  TU102 [GeForce RTX 2080 Ti]
\t2204  GA102 [GeForce RTX 3090]
\t2330  GH100 [H100 SXM5 80GB]
\t2684  AD102 [GeForce RTX 4090]
\t2b85  GB202 [GeForce RTX 5090]
8086  Intel Corporation
\t1b06  nor this
"""
_PROC_DRIVERS = {"nvidia": 195, "nvidia-uvm": 508}  # the majors that /proc/devices would give


class Machine:
    """A host below ``root``: a kernel, a bus with a chipset, no card, no driver."""

    def __init__(self, root: Path, kernel: str = KERNEL) -> None:
        self.root = root
        self.kernel = kernel
        self._modules = ["ext4", "e1000e"]
        self._cards: list[str] = []
        self.write("/proc/sys/kernel/osrelease", f"{kernel}\n")
        self.write("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2\n")
        self.write("/proc/cmdline", f"BOOT_IMAGE=/boot/vmlinuz-{kernel} root=/dev/sda2 ro quiet\n")
        self.write("/etc/modprobe.d/README", "# a folder of settings\n")
        self.folder(f"/lib/modules/{kernel}/kernel/drivers/video").folder("/sys/firmware/acpi")
        self.device("0000:00:00.0", "8086:1237", "0x060000")
        self.device("0000:00:1f.2", "8086:2922", "0x010601", driver="ahci")
        self.log()
        self._write_modules()

    @property
    def sysroot(self) -> Sysroot:
        return Sysroot(self.root)

    # files

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def write(self, absolute: str, content: str | bytes) -> Machine:
        path = self.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def folder(self, absolute: str) -> Machine:
        self.path(absolute).mkdir(parents=True, exist_ok=True)
        return self

    def link(self, absolute: str, target: str) -> Machine:
        path = self.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        return self

    def remove(self, absolute: str) -> Machine:
        path = self.path(absolute)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return self

    def unreadable(self, absolute: str) -> Machine:
        """A folder in its place: even root cannot read it as a file or a link."""
        if os.path.lexists(self.path(absolute)):
            self.remove(absolute)
        return self.folder(absolute)

    # the bus

    def device(self, address: str, name: str, kind: str, driver: str | None = None) -> Machine:
        """Any PCI device; ``name`` as in 10de:1b06, ``kind`` its class as in 0x030000."""
        folder, (vendor, device) = f"/sys/bus/pci/devices/{address}", name.split(":")
        for file, text in (
            ("vendor", f"0x{vendor}"), ("device", f"0x{device}"), ("class", kind),
            ("subsystem_vendor", "0x1043"), ("subsystem_device", "0x85e4"),
        ):  # fmt: skip
            self.write(f"{folder}/{file}", f"{text}\n")
        self.write(f"{folder}/config", bytes.fromhex(vendor)[::-1] + bytes.fromhex(device)[::-1] + bytes(60))
        if driver:
            self.link(f"{folder}/driver", f"../../../bus/pci/drivers/{driver}")
        return self

    def card(self, name: str, driver: str | None = "nvidia", kind: str = "0x030000") -> Machine:
        """One more NVIDIA card, with its sound device; buses 01, 02 ..."""
        address = f"0000:{len(self._cards) + 1:02x}:00.0"
        self._cards.append(address)
        self.device(address, name, kind, driver)
        return self.device(f"{address[:-1]}1", "10de:10ef", "0x040300", driver="snd_hda_intel")

    def pci_ids(self, path: str = "/usr/share/misc/pci.ids") -> Machine:
        return self.write(path, PCI_IDS)

    @property
    def cards(self) -> list[str]:
        """Their addresses, in the order of the bus."""
        return list(self._cards)

    # the kernel

    def load(self, *modules: str) -> Machine:
        self._modules += modules
        for module in modules:
            self.folder(f"/sys/module/{module}")
        return self._write_modules()

    def unload(self, *modules: str) -> Machine:
        for module in modules:
            self._modules.remove(module)
            self.remove(f"/sys/module/{module}")
        return self._write_modules()

    def _write_modules(self) -> Machine:
        lines = [f"{name} 16384 0 - Live 0x0000000000000000" for name in reversed(self._modules)]
        return self.write("/proc/modules", "".join(f"{line}\n" for line in lines))

    def nouveau(self) -> Machine:
        """The free driver has every card."""
        for address in self._cards:
            self.link(f"/sys/bus/pci/devices/{address}/driver", "../../../bus/pci/drivers/nouveau")
        return self.load("nouveau")

    def blacklist(self) -> Machine:
        return self.write("/etc/modprobe.d/blacklist-nouveau.conf", "blacklist nouveau\noptions nouveau modeset=0\n")

    def secure_boot(self, on: bool) -> Machine:
        return self.write(EFIVAR, b"\x06\x00\x00\x00" + bytes([on]))

    def headers(self) -> Machine:
        source = f"/usr/src/linux-headers-{self.kernel}"
        self.write(f"{source}/Makefile", "# headers\n")
        return self.link(f"/lib/modules/{self.kernel}/build", source)

    def log(self, *messages: str, seconds: float = 12.5) -> Machine:
        """``/dev/kmsg`` as one file: the boot's first line, then these."""
        lines = [f"Linux version {self.kernel} (debian-kernel@lists.debian.org) (gcc-12) #1 SMP", *messages]
        records = (f"6,{n},{int(seconds * 1e6) + n},-;{line}\n" for n, line in enumerate(lines))
        return self.write("/dev/kmsg", "".join(records))

    # the driver

    def module_file(self, version: str, kernel: str | None = None, folder: str = "updates/dkms") -> Machine:
        """``nvidia.ko`` as an object file's bytes with its ``.modinfo`` strings in the midst."""
        text = f"license=NVIDIA\0alias=char-major-195-*\0version={version}\0supported=external\0vermagic={kernel}\0"
        return self.write(
            f"/lib/modules/{kernel or self.kernel}/{folder}/nvidia.ko", b"\x7fELF" + bytes(64) + text.encode()
        )

    def dkms(self, version: str, kernel: str | None = None, state: str = "built") -> Machine:
        """The tree of DKMS; ``state``: added, failed or built (for ``kernel``)."""
        base, kernel = f"/var/lib/dkms/nvidia/{version}", kernel or self.kernel
        self.link(f"{base}/source", f"/usr/src/nvidia-{version}")
        if state == "failed":
            self.write(f"{base}/build/make.log", f"DKMS make.log for nvidia-{version} for kernel {kernel}\nError 2\n")
        if state == "built":
            self.write(f"{base}/{kernel}/x86_64/module/nvidia.ko", b"\x7fELF")
            self.link(f"/var/lib/dkms/nvidia/kernel-{kernel}-x86_64", f"{version}/{kernel}/x86_64")
        return self

    def loaded(self, version: str) -> Machine:
        """The kernel runs this driver, and it has found every card."""
        self.load("nvidia", "nvidia_modeset", "nvidia_drm", "nvidia_uvm")
        self.write("/sys/module/nvidia/version", f"{version}\n")
        self.write(
            "/proc/driver/nvidia/version",
            f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Thu Sep  6 06:36:33 CDT 2018\n"
            "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n",
        )
        devices = "".join(f"{major} {name}\n" for name, major in _PROC_DRIVERS.items())
        self.write("/proc/devices", f"Character devices:\n  1 mem\n{devices}\nBlock devices:\n  8 sd\n")
        for number, address in enumerate(self._cards):
            self.write(
                f"/proc/driver/nvidia/gpus/{address}/information",
                f"Model: \t\t NVIDIA card\nIRQ:   \t\t {32 + number}\nBus Type: \t PCIe\n"
                f"Bus Location: \t {address}\nDevice Minor: \t {number}\nGPU Excluded:\t No\n",
            )
        return self

    def libraries(self, version: str, folder: str = LIBRARIES) -> Machine:
        """The driver's half for programs: NVML and libcuda."""
        for name in ("libnvidia-ml.so", "libcuda.so"):
            self.write(f"{folder}/{name}.{version}", b"\x7fELF")
            self.link(f"{folder}/{name}.1", f"{name}.{version}")
        return self

    def nodes(self, count: int | None = None, *, uvm: bool = True) -> Machine:
        """The files in ``/dev``; FIFOs stand for the nodes, which only root could make."""
        numbered = [f"nvidia{number}" for number in range(len(self._cards) if count is None else count)]
        self.folder("/dev")
        for name in (*numbered, "nvidiactl", *(["nvidia-uvm", "nvidia-uvm-tools"] if uvm else [])):
            os.mkfifo(self.path(f"/dev/{name}"), 0o666)
            self.path(f"/dev/{name}").chmod(0o666)  # whatever the umask
        return self


def working(root: Path, *cards: str, version: str = "470.256.02") -> Machine:
    """A host as it should be: these cards (default: one GTX 1080 Ti), one driver, everything in its place."""
    machine = Machine(root).pci_ids()
    for name in cards or ("10de:1b06",):
        machine.card(name)
    machine.blacklist().secure_boot(False).headers()
    machine.module_file(version).dkms(version).loaded(version).libraries(version)
    return machine.nodes()


@cache
def _toolchain() -> toolchains.Toolchain:
    return toolchains.load("dlc-tf1-cuda10.0")


def finding(machine: Machine, layer: str) -> Finding:
    """What one layer says of a machine; skip where it cannot look, as the runner makes it.  NVML is not asked."""
    context = Context(Settings(), _toolchain(), Inventory(), machine.sysroot)
    try:
        found: Finding = importlib.import_module(f"iblvideo_admin.gpu.checks.{layer}").check(context)
    except CannotLookError as error:
        return Finding("skip", "could not be looked at", str(error))
    return found
