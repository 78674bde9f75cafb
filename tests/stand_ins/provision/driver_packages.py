"""NVIDIA's driver as packages under the names of Ubuntu, Debian and NVIDIA's own repositories; no driver is inside.

``libcuda.so.1`` says that there is no card, ``libnvidia-ml.so.1`` that no driver is loaded -- until
``/etc/stand-in-nvml-machine`` describes one (see ``stand_ins/nvml``).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from stand_ins import cuda_libraries
from stand_ins.provision.apt_repository import Package
from stand_ins.provision.symbols import wanted

MACHINE = "/etc/stand-in-nvml-machine"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
_DRIVER_NOT_LOADED = 9
_UBUNTU = re.compile(r"nvidia-(?:driver|headless)-(\d+(?:-server)?(?:-open)?)")
_FROM_NVIDIA = re.compile(r"cuda-drivers(?:-(\d+))?")
_SMI = """#!/bin/sh
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA \
driver is installed and running."
echo
exit 9
"""
_PERSISTENCED = f"""#!/bin/sh
[ -e /proc/driver/nvidia/version ] || [ -e {MACHINE} ] || {{
    echo "nvidia-persistenced failed to initialize. Check syslog for more details." >&2
    exit 1
}}
exec sleep infinity
"""
_UNIT = """[Unit]
Description=NVIDIA Persistence Daemon

[Service]
ExecStart=/usr/bin/nvidia-persistenced --user nvidia-persistenced --no-persistence-mode --verbose

[Install]
WantedBy=multi-user.target
"""
_ENABLE = """if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now nvidia-persistenced.service || :
fi"""


def driver_packages(name: str, version: str) -> list[Package]:
    """All packages of a branch that a metapackage pulls in, it among them.

    ``name`` is ``nvidia-driver-535``, ``nvidia-driver-535-server``, ``nvidia-headless-535`` (Ubuntu: both
    metapackages are made), ``nvidia-driver``, ``nvidia-tesla-470-driver`` (Debian) or ``cuda-drivers``,
    ``cuda-drivers-535`` (NVIDIA, over packages with Ubuntu's names).  A newer ``version`` of the same name is an
    update of all of them.
    """
    if found := _UBUNTU.fullmatch(name):
        return _ubuntu(found[1], version, f"{version}-0ubuntu0.22.04.1")
    if name == "nvidia-driver":
        return _debian("", "nvidia-current", version)
    if name == "nvidia-tesla-470-driver":
        return _debian("tesla-470-", "nvidia-tesla-470", version)
    if found := _FROM_NVIDIA.fullmatch(name):
        branch, full = _branch(version), f"{version}-1"
        below = Package(f"cuda-drivers-{branch}", full, (f"nvidia-driver-{branch} (>= {version})",))
        newest = [] if found[1] else [Package("cuda-drivers", full, (f"{below.name} (= {full})",))]
        return [*newest, below, *_ubuntu(branch, version, full)]
    raise ValueError(name)


def dkms() -> Package:
    """The builder of modules; newer than Debian's, so that it is the one taken."""
    script = Path(__file__).with_name("packages") / "dkms"
    hook = '#!/bin/sh\nexec /usr/sbin/dkms autoinstall -k "$1"\n'
    files = {"/usr/sbin/dkms": script.read_text(), "/etc/kernel/header_postinst.d/dkms": hook}
    return Package("dkms", "99:3.0.10", files=files, architecture="all")


def kernel_headers(
    release: str = "", flavours: tuple[str, ...] = ("amd64", "generic"), version: str = "99:6.1"
) -> list[Package]:
    """``linux-headers-RELEASE`` (of the running kernel), and metapackages over it: Debian's, Ubuntu's, or others."""
    kernel = release or os.uname().release
    source = f"/usr/src/linux-headers-{kernel}"
    hooks = f"for hook in /etc/kernel/header_postinst.d/*; do\n    [ ! -x $hook ] || $hook {kernel} || :\ndone"
    headers = Package(
        f"linux-headers-{kernel}", version, files={f"{source}/Makefile": "# headers\n"},
        links={f"/lib/modules/{kernel}/build": source}, scripts={"postinst": hooks},
    )  # fmt: skip
    return [headers, *(Package(f"linux-headers-{name}", version, (headers.name,)) for name in flavours)]


def _branch(version: str) -> str:
    return version.partition(".")[0]


def _only(kind: str) -> dict[str, str]:
    """Of the packages of this kind there is one on a host: installing a second removes the first."""
    return dict.fromkeys(("Provides", "Conflicts", "Replaces"), kind)


def _ubuntu(suffix: str, version: str, full: str) -> list[Package]:
    same = f"(= {full})"
    libraries, source, tools, more = (
        f"{name}-{suffix}" for name in ("libnvidia-compute", "nvidia-dkms", "nvidia-utils", "nvidia-compute-utils")
    )
    needs = tuple(f"{name} {same}" for name in (libraries, source, more))
    return [
        Package(f"nvidia-driver-{suffix}", full, (*needs, f"{tools} {same}"), more=_only("nvidia-driver-binary")),
        Package(f"nvidia-headless-{suffix}", full, needs),
        _libraries(libraries, version, full, _only("libnvidia-compute")),
        _module(source, "nvidia", version, full, _only("nvidia-dkms-kernel")),
        Package(tools, full, files={"/usr/bin/nvidia-smi": _SMI}, more=_only("nvidia-utils")),
        _daemon(more, full, _only("nvidia-compute-utils")),
    ]


def _debian(prefix: str, module: str, version: str) -> list[Package]:
    """The driver needs NVML and the module; libcuda, nvidia-smi and the daemon are only recommended."""
    full = f"{version}-1~deb12u1"
    same = f"(= {full})"
    cuda, nvml = f"libnvidia-{prefix}cuda1" if prefix else "libcuda1", f"libnvidia-{prefix}ml1"
    kernel, smi, settings = f"nvidia-{prefix}kernel-dkms", f"nvidia-{prefix}smi", f"libnvidia-{prefix}cfg1"
    needs = tuple(f"{name} {same}" for name in (nvml, kernel))
    recommended = {"Recommends": f"{cuda} {same}, {smi} {same}, {settings} {same}, nvidia-persistenced"}
    return [
        Package(f"nvidia-{prefix}driver", full, needs, more=recommended),
        Package(settings, full),
        _libraries(cuda, version, full, _only("libcuda-any"), ("libcuda",)),
        _libraries(nvml, version, full, _only("libnvidia-ml-any"), ("libnvidia-ml",)),
        _module(kernel, module, version, full, _only("nvidia-kernel-any")),
        Package(smi, full, files={"/usr/bin/nvidia-smi": _SMI}, more=_only("nvidia-smi-any")),
        _daemon("nvidia-persistenced", "525.85.05-1", {}, ("libnvidia-cfg1 | libnvidia-tesla-470-cfg1",)),
    ]


def _libraries(name: str, version: str, full: str, more: dict[str, str],
               stems: tuple[str, ...] = ("libcuda", "libnvidia-ml")) -> Package:  # fmt: skip
    files = {f"{LIBRARIES}/{stem}.so.{version}": _library(stem, int(_branch(version))) for stem in stems}
    links = {f"{LIBRARIES}/{stem}.so.1": f"{stem}.so.{version}" for stem in stems}
    return Package(name, full, files=files, links=links, scripts={"postinst": "ldconfig"}, more=more)


@cache
def _library(stem: str, branch: int) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        if stem == "libcuda":
            return cuda_libraries.driver(Path(scratch), symbols=wanted()).read_bytes()
        target = Path(scratch) / "libnvidia-ml.so.1"
        source = Path(__file__).parents[1] / "nvml/nvml.c"
        options = [f"-DBRANCH={branch}", f'-DMACHINE="{MACHINE}"', f"-DNO_MACHINE={_DRIVER_NOT_LOADED}"]
        command = ["/usr/bin/env", "cc", "-shared", "-fPIC", f"-Wl,-soname,{target.name}", *options]
        subprocess.run([*command, "-o", target, source], check=True)
        return target.read_bytes()


def _module(name: str, module: str, version: str, full: str, more: dict[str, str]) -> Package:
    conf = f"PACKAGE_NAME={module}\nPACKAGE_VERSION={version}\nAUTOINSTALL=yes\n"
    scripts = {"postinst": "dkms autoinstall || :", "prerm": f"dkms remove {module}/{version} --all || :"}
    files = {f"/usr/src/{module}-{version}/dkms.conf": conf}
    files["/etc/modprobe.d/nvidia-graphics-drivers.conf"] = "blacklist nouveau\nalias nouveau off\n"
    return Package(name, full, ("dkms",), files=files, scripts=scripts, more=more)


def _daemon(name: str, full: str, more: dict[str, str], depends: tuple[str, ...] = ()) -> Package:
    files = {"/usr/bin/nvidia-persistenced": _PERSISTENCED, "/lib/systemd/system/nvidia-persistenced.service": _UNIT}
    return Package(name, full, depends, files=files, scripts={"postinst": _ENABLE}, more=more)
