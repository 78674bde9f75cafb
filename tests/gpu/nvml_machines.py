"""Whole machines: what the kernel shows of each (a folder) together with what its driver says (the NVML stand-in).

``python tests/gpu/golden/update.py`` writes what check-gpu finds on each of them into ``tests/gpu/golden/``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from gpu.machines import LIBRARIES, Machine, working
from lab import STAND_INS, Lab
from stand_ins import cuda_libraries

NVML, GOLDEN = STAND_INS / "nvml", Path(__file__).parent / "golden"
GTX_1080_TI, RTX_2080_TI, RTX_3090, RTX_4090, H100, K80 = (
    f"10de:{number}" for number in ("1b06", "1e04", "2204", "2684", "2330", "102d")
)
_XID_79 = "NVRM: Xid (PCI:0000:01:00): 79, pid=0, GPU has fallen off the bus."


@dataclass(frozen=True)
class Case:
    """A machine that works, with these cards and this driver, and what is different about it."""

    cards: tuple[str, ...] = (GTX_1080_TI,)
    driver: str | None = "470.256.02"
    change: Callable[[Machine], Any] = lambda _: None
    library: bool = True
    """Whether there is an NVML at all."""
    gpus: str = "all"
    """The setting."""


def _no_driver(machine: Machine) -> None:
    machine.headers()


def _k80(machine: Machine) -> None:
    """The module of R535 finds no card that it knows, and is not loaded."""
    machine.unload("nvidia", "nvidia_modeset", "nvidia_drm", "nvidia_uvm").remove("/proc/driver/nvidia")
    for address in machine.cards:
        machine.path(f"/sys/bus/pci/devices/{address}/driver").unlink()
    for node in machine.path("/dev").glob("nvidia*"):
        node.unlink()
    machine.log(
        "NVRM: The NVIDIA Tesla K80 GPU installed in this system is",
        "NVRM:  supported through the NVIDIA 470.xx Legacy drivers. Please",
        "NVRM:  visit http://www.nvidia.com/object/unix.html for more",
        "NVRM:  information.  The 535.183.01 NVIDIA driver will ignore",
        "NVRM:  this GPU.  Continuing probe...",
        "NVRM: No NVIDIA GPU found.",
    )


def _update_without_a_reboot(machine: Machine) -> None:
    """unattended-upgrades has put another driver's files in place of those that the kernel runs."""
    for path in machine.path(LIBRARIES).glob("lib*.so*"):
        path.unlink()
    machine.libraries("470.239.06").module_file("470.239.06").dkms("470.239.06")


def _off_the_bus(machine: Machine) -> None:
    machine.write("/sys/bus/pci/devices/0000:01:00.0/config", b"\xff" * 64).log(_XID_79)


def _second_off_the_bus(machine: Machine) -> None:
    machine.write("/sys/bus/pci/devices/0000:02:00.0/config", b"\xff" * 64).log(_XID_79.replace(":01:", ":02:"))


def _alice(machine: Machine) -> None:
    machine.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/bash\n")
    machine.write("/proc/20417/status", "Name:\tpython\nUid:\t1001\t1001\t1001\t1001\n")
    machine.write("/proc/20417/comm", "python\n").write("/proc/20417/cmdline", "python\0train.py\0")


CASES = {
    "gtx_1080_ti_on_410": Case(driver="410.48"),
    "rtx_2080_ti_on_450": Case((RTX_2080_TI,), "450.80.02"),
    "rtx_3090_on_470": Case((RTX_3090,)),
    "two_h100_on_550": Case((H100, H100), "550.54.15"),
    "gtx_1080_ti_and_rtx_4090": Case((GTX_1080_TI, RTX_4090), "550.120"),
    "tesla_k80_past_its_branch": Case((K80, K80), "535.183.01", _k80),
    "tesla_k80_listed_past_its_branch": Case((K80,), "535.183.01"),
    "no_gpu": Case((), None, library=False),
    "no_driver": Case(driver=None, change=_no_driver, library=False),
    "driver_library_mismatch": Case(change=_update_without_a_reboot),
    "lost_from_the_start": Case(change=_off_the_bus),
    "lost_half_way": Case((GTX_1080_TI, GTX_1080_TI)),
    "one_of_two_not_listed": Case((GTX_1080_TI, GTX_1080_TI)),
    "second_of_two_wanted_and_not_listed": Case((GTX_1080_TI, GTX_1080_TI), gpus="1"),
    "no_permission": Case(),
    "no_uuid": Case(driver="410.48"),
    "bad_card_left_out": Case((GTX_1080_TI, GTX_1080_TI), change=_second_off_the_bus, gpus="0"),
    "full": Case(change=_alice),
}


def require_compiler() -> None:
    """The stand-in is made anew by every run."""
    if shutil.which("cc") is None:
        if os.environ.get("CI"):
            pytest.fail("there is no C compiler")
        pytest.skip("SKIPPED: there is no C compiler to make the stand-in for NVML with")


def library(folder: Path, branch: int = 999) -> Path:
    """A folder with the libnvidia-ml.so.1 of a driver branch."""
    target = folder / f"nvml-{branch}/libnvidia-ml.so.1"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        options = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-DBRANCH={branch}"]
        command = ["/usr/bin/env", "cc", *options, "-o", str(target), str(NVML / "nvml.c")]
        subprocess.run(command, check=True)
    return target.parent


@cache
def _libraries(folder: Path) -> Path:
    """CUDA 10.0 and TensorFlow's files as stubs, for all machines; the driver's half of CUDA beside them."""
    cuda = cuda_libraries.toolkit(folder / "cuda-10.0")
    libcuda = cuda_libraries.driver(folder / "driver")
    cuda_libraries.tensorflow(folder / "env", cuda, libcuda)
    return folder


def _host(name: str, root: Path, libcuda: Path) -> Machine:
    case = CASES[name]
    if case.driver is None:
        machine = Machine(root).pci_ids().secure_boot(False).blacklist()
        for card in case.cards:
            machine.card(card, driver=None)
    else:
        machine = working(root, *case.cards, version=case.driver)
    machine.write("/etc/os-release", "ID=ubuntu\nVERSION_ID=22.04\n")
    case.change(machine)
    for path in machine.path(LIBRARIES).glob("libcuda.so.[0-9][0-9]*"):
        shutil.copy(libcuda, path)
    return machine


def checked(name: str, lab: Lab, common: Path) -> dict[str, Any]:
    """What ``check-gpu --level quick`` says on a machine.  ``common`` holds what all machines share."""
    _host(name, lab.folder / "root", _libraries(common) / "driver/libcuda.so.1")
    if not CASES[name].library:  # what cannot be loaded hides the driver that this very machine may have
        (lab.folder / "nvml").mkdir()
        (lab.folder / "nvml/libnvidia-ml.so.1").touch()
    return again(name, lab, common)


def again(name: str, lab: Lab, common: Path) -> dict[str, Any]:
    """The same of a machine that is described already."""
    case, libraries, root = CASES[name], _libraries(common), lab.folder / "root"
    nvml = library(common, int((case.driver or "0").split(".")[0])) if case.library else lab.folder / "nvml"
    document = lab.json(
        "check-gpu", "--level", "quick", "--toolchain", "dlc-tf1-cuda10.0",
        IBLVIDEO_ADMIN_SYSROOT=str(root),
        IBLVIDEO_ADMIN_GPUS=case.gpus,
        IBLVIDEO_ADMIN_CUDA_ROOT=str(libraries / "cuda-10.0"),
        IBLVIDEO_ADMIN_DLC_PYTHON=str(libraries / "env/bin/python"),
        LD_LIBRARY_PATH=str(nvml),
        NVML_MACHINE=str(NVML / f"machines/{name}.txt"),
    )  # fmt: skip
    return _plain(document, root, common)


def _plain(value: Any, *folders: Path) -> Any:
    """Without the places where this run has put things."""
    text = json.dumps(value)
    for folder in folders:
        text = text.replace(str(folder), "")
    return json.loads(text)


def expected(document: dict[str, Any]) -> dict[str, Any]:
    """What of the answer the golden file keeps."""
    data = document["data"]
    bad = sorted((c for c in data["checks"] if c["status"] in ("fail", "skip")), key=lambda c: c["status"])
    first = bad[0] if bad else {}
    return {
        "verdict": data["verdict"],
        "exit_code": document["exit_code"],
        "recommended_toolchain": data["recommended_toolchain"],
        "gpus": [[gpu["name"], gpu["capability"], gpu["problem"]] for gpu in data["gpus"]],
        "layers": {f"{check['layer']} {check['id']}": check["status"] for check in data["checks"]},
        "first": {key: first[key] for key in ("id", "summary", "evidence", "remedy")} if first else None,
        "also": {c["id"]: c["summary"] for c in data["checks"] if c["status"] in ("fail", "warn") and c is not first},
    }
