"""Cards that the setting gpus does not leave to us: what is wrong with them is told, and stops nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gpu.machines import Machine, working

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import choice
from iblvideo_admin.gpu.checks.base import Context
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.settings import Settings

GTX_1080_TI, K80 = "10de:1b06", "10de:102d"
SECOND = "/sys/bus/pci/devices/0000:02:00.0"
FIRST_GPU = Gpu(0, "GPU-a", "GTX 1080 Ti", (6, 1), 11 << 30, 0, pci_address="0000:01:00.0")
SECOND_GPU = replace(FIRST_GPU, index=1, uuid="GPU-b", pci_address="0000:02:00.0")
BOTH = Inventory((FIRST_GPU, SECOND_GPU), "535.183.01")


def off_the_bus(machine: Machine) -> None:
    machine.write(f"{SECOND}/config", b"\xff" * 64)


def nouveau(machine: Machine) -> None:
    machine.link(f"{SECOND}/driver", "../../../bus/pci/drivers/nouveau")


def not_held(machine: Machine) -> None:
    machine.path(f"{SECOND}/driver").unlink()


def xid(machine: Machine) -> None:
    machine.log("NVRM: Xid (PCI:0000:02:00): 79, pid=0, GPU has fallen off the bus.")


def not_started(machine: Machine) -> None:
    machine.log("NVRM: GPU 0000:02:00.0: RmInitAdapter failed! (0x26:0xffff:1290)")


def no_node(machine: Machine) -> None:
    machine.remove("/dev/nvidia1")


@pytest.mark.parametrize(
    ("layer", "change", "told"),
    [
        ("pci", off_the_bus, "warn"),
        ("nouveau", nouveau, "warn"),
        ("module", not_held, "warn"),
        ("module", xid, "warn"),
        ("module", not_started, "warn"),
        ("devices", no_node, "pass"),
    ],
)
def test_only_our_own_cards_can_be_at_fault(
    tmp_path: Path, layer: str, change: Callable[[Machine], Any], told: str
) -> None:
    """What the remedy "set gpus" promises must hold: without the bad card all is well."""
    machine = working(tmp_path, GTX_1080_TI, K80, version="535.183.01")
    change(machine)
    check = importlib.import_module(f"iblvideo_admin.gpu.checks.{layer}").check

    def status(gpus: str, inventory: Inventory = BOTH) -> str:
        found = check(Context(Settings(gpus=gpus), toolchains.load("dlc-tf1-cuda10.0"), inventory, machine.sysroot))
        return str(found.status)

    assert (status("0"), status("1"), status("0,1"), status("all")) == (told, "fail", "fail", "fail")
    # a card that nobody can place may be any
    assert status("0", Inventory(problem="x", error="Unknown")) == "fail"
    assert status("0", Inventory((replace(FIRST_GPU, pci_address=None), SECOND_GPU))) == "fail"


@pytest.mark.parametrize(
    ("gpus", "addresses"),
    [("all", None), ("none", None), ("0", {"0000:01:00.0"}), ("0,1", {"0000:01:00.0", "0000:02:00.0"}), ("0,7", None)],
)
def test_where_our_cards_lie(gpus: str, addresses: set[str] | None) -> None:
    assert choice.addresses(Settings(gpus=gpus), BOTH) == addresses
