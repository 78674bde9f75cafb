"""Layer 4: NVIDIA's module is built for the running kernel, and can be built for the next."""

from __future__ import annotations

from iblvideo_admin.gpu import driver_files, kernel
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.driver_files import MODULES, Build, ModuleFile
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

ID, LAYER, NEEDS, NEEDS_GPU = "headers", 4, ("pci",), True


def check(context: Context) -> Finding:
    """The module's file, the kernel's headers, DKMS's builds; a loaded module proves that there was a file."""
    sysroot = context.sysroot
    loaded = kernel.surely_loaded(sysroot, "nvidia")
    try:
        found = _look(sysroot)
    except CannotLookError as error:
        if not loaded:
            raise
        return Finding(
            "warn", "NVIDIA's module is loaded; whether it will be after a reboot cannot be seen", str(error)
        )
    if loaded and found.status == "fail":
        return Finding("warn", f"NVIDIA's module is loaded, but will not be after a reboot: {found.summary}",
                       found.evidence, found.remedy)  # fmt: skip
    return found


def _look(sysroot: Sysroot) -> Finding:
    release = kernel.release(sysroot)
    installed = driver_files.kernels(sysroot)
    if release not in installed:
        if not installed:
            raise CannotLookError(f"{MODULES} shows no kernel")
        return Finding(
            "fail",
            f"the running kernel {release} is no longer installed",
            f"{MODULES}: {', '.join(installed)}",
            "Reboot.",
        )
    file = driver_files.module_file(sysroot, release)
    source = driver_files.headers(sysroot, release)
    if file is None:
        return _missing(sysroot, release, source)
    findings = [_present(release, file, source)]
    if installed[-1] != release:
        findings.append(_next(sysroot, installed[-1]))
    return worst(findings)


def _present(release: str, file: ModuleFile, source: str | None) -> Finding:
    summary = f"NVIDIA's module is there for the running kernel {release}"
    if source or file.prebuilt:
        return Finding("pass", summary, file.path)
    return Finding("warn", f"{summary}, but its headers are missing: an update of the driver could not be built",
                   f"{MODULES}/{release}/build leads nowhere",
                   f"Run `apt-get install linux-headers-{release}`.")  # fmt: skip


def _next(sysroot: Sysroot, release: str) -> Finding:
    """The newest kernel is what the next reboot starts."""
    try:
        file = driver_files.module_file(sysroot, release)
    except CannotLookError as error:
        return Finding("warn", f"NVIDIA's module for {release}, the next kernel, cannot be read", str(error))
    if file:
        return Finding("pass", f"and for {release}, the next one", file.path)
    return Finding(
        "warn",
        f"kernel {release}, which the next reboot starts, has no NVIDIA module",
        f"no nvidia.ko below {MODULES}/{release}",
        f"Run `apt-get install linux-headers-{release}` and `dkms autoinstall -k {release}` before you reboot.",
    )


def _missing(sysroot: Sysroot, release: str, source: str | None) -> Finding:
    """There is no module for the running kernel."""
    seen = f"no nvidia.ko below {MODULES}/{release}"
    builds = driver_files.builds(sysroot)
    if not builds:
        return _no_dkms(sysroot, release, seen)
    build = builds[-1]
    seen = f"{seen}; DKMS: {build.package}/{build.version} is built for {', '.join(build.kernels) or 'no kernel'}"
    if source is None:
        return Finding(
            "fail",
            f"the headers of the running kernel {release} are missing, so that NVIDIA's module could not be built",
            seen,
            f"Run `apt-get install linux-headers-{release}`, `dkms autoinstall -k {release}` and `modprobe nvidia`.",
        )
    return _unbuilt(release, build, seen)


def _unbuilt(release: str, build: Build, seen: str) -> Finding:
    command = f"dkms install {build.package}/{build.version} -k {release}"
    if build.failure:
        return Finding(
            "fail",
            f"DKMS could not build NVIDIA's module {build.version} for the running kernel {release}",
            f"{driver_files.DKMS}/{build.package}/{build.version}/build/make.log: {build.failure}",
            f"Run `{command}` and read its make.log. Where the driver is too old for this kernel, start an older one "
            "(GRUB, Advanced options) or install a newer driver.",
        )
    return Finding("fail", f"NVIDIA's module {build.version} is not built for the running kernel {release}", seen,
                   f"Run `{command}` and `modprobe nvidia`.")  # fmt: skip


def _no_dkms(sysroot: Sysroot, release: str, seen: str) -> Finding:
    others = [name for name in driver_files.kernels(sysroot) if driver_files.module_file(sysroot, name)]
    if others:
        return Finding(
            "fail",
            f"NVIDIA's module is there for the kernel {others[-1]}, but not for the running {release}",
            seen,
            f"Start {others[-1]} (GRUB, Advanced options), or install the driver for this kernel: on Ubuntu "
            f"`apt-get install linux-modules-nvidia-BRANCH-{release}`; NVIDIA's installer has to be run again.",
        )
    return Finding("fail", "no NVIDIA driver is installed", seen, driver_files.install())
