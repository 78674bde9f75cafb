"""What a host tells of itself, from folders that look like hosts."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from gpu.machines import KERNEL, Machine, working

OTHER_KERNEL = "6.8.0-41-generic"


def facts(lab_host: ModuleType, machine: Machine) -> dict[str, object]:
    found: dict[str, object] = lab_host.Host(str(machine.root)).facts(machine.kernel)
    return found


@pytest.mark.parametrize(
    ("number", "name", "version"),
    [
        ("10de:102d", "GK210GL [Tesla K80]", "470.256.02"),
        ("10de:1b06", "GP102 [GeForce GTX 1080 Ti]", "535.183.01"),
        ("10de:1e04", "TU102 [GeForce RTX 2080 Ti]", "590.44.01"),
        ("10de:2204", "GA102 [GeForce RTX 3090]", "550.90.07"),
    ],
)
def test_one_card_and_its_driver(lab_host: ModuleType, tmp_path: Path, number: str, name: str, version: str) -> None:
    found = facts(lab_host, working(tmp_path, number, version=version))
    assert found == {
        "cards": [{"address": "0000:01:00.0", "id": number, "name": name}],
        "driver": version,
        "nouveau": False,
        "secure_boot": False,
        "kernel": KERNEL,
        "headers": True,
    }


def test_a_mixed_server_in_the_order_of_the_bus(lab_host: ModuleType, tmp_path: Path) -> None:
    machine = (
        Machine(tmp_path).pci_ids("/usr/share/hwdata/pci.ids").card("10de:2204").card("10de:1b06", kind="0x030200")
    )
    machine.device("0000:00:02.0", "8086:1b06", "0x030000")
    found = facts(lab_host, machine)
    assert [(card["address"], card["id"], card["name"]) for card in found["cards"]] == [
        ("0000:01:00.0", "10de:2204", "GA102 [GeForce RTX 3090]"),
        ("0000:02:00.0", "10de:1b06", "GP102 [GeForce GTX 1080 Ti]"),
    ]
    assert (found["driver"], found["headers"]) == ("", False)


def test_without_names_there_are_numbers(lab_host: ModuleType, tmp_path: Path) -> None:
    machine = Machine(tmp_path).card("10de:1b06")
    assert facts(lab_host, machine)["cards"] == [{"address": "0000:01:00.0", "id": "10de:1b06", "name": ""}]
    machine.pci_ids().card("10de:9999")
    assert [card["name"] for card in facts(lab_host, machine)["cards"]] == ["GP102 [GeForce GTX 1080 Ti]", ""]


def test_what_stands_in_the_way(lab_host: ModuleType, tmp_path: Path) -> None:
    machine = Machine(tmp_path).card("10de:1b06").nouveau().secure_boot(True)
    found = facts(lab_host, machine)
    assert (found["nouveau"], found["secure_boot"], found["driver"]) == (True, True, "")
    machine.unload("nouveau").secure_boot(False)
    found = facts(lab_host, machine)
    assert (found["nouveau"], found["secure_boot"]) == (False, False)


def test_the_open_modules_say_their_version_elsewhere(lab_host: ModuleType, tmp_path: Path) -> None:
    line = (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@host)  Tue Sep 23\n"
    )
    machine = Machine(tmp_path).card("10de:1e04").write("/proc/driver/nvidia/version", line)
    assert facts(lab_host, machine)["driver"] == "580.95.05"


@pytest.mark.parametrize("target", ["/usr/src/linux-headers-{}", "../../../usr/src/linux-headers-{}"])
def test_headers_of_the_running_kernel_only(lab_host: ModuleType, tmp_path: Path, target: str) -> None:
    machine = Machine(tmp_path, OTHER_KERNEL).write("/usr/src/linux-headers-6.8.0-40-generic/Makefile", "")
    machine.link("/lib/modules/6.8.0-40-generic/build", "/usr/src/linux-headers-6.8.0-40-generic")
    machine.link(f"/lib/modules/{OTHER_KERNEL}/build", target.format(OTHER_KERNEL))
    assert facts(lab_host, machine)["headers"] is False, "a link to nothing: headers that were removed"
    machine.write(f"/usr/src/linux-headers-{OTHER_KERNEL}/Makefile", "")
    assert facts(lab_host, machine)["headers"] is True


def test_no_bus(lab_host: ModuleType, tmp_path: Path) -> None:
    """As in a container."""
    found = facts(lab_host, Machine(tmp_path).remove("/sys"))
    assert (found["cards"], found["driver"], found["nouveau"], found["secure_boot"]) == ([], "", False, False)
    machine = Machine(tmp_path / "other").card("10de:1b06").remove("/sys/bus/pci/devices/0000:01:00.0/vendor")
    assert facts(lab_host, machine)["cards"] == []


def test_room_is_that_of_the_nearest_folder(lab_host: ModuleType, tmp_path: Path) -> None:
    found = lab_host.room(str(tmp_path / "not/there/yet"))
    assert found["free_gb"] > 0 and found["provisioned"] is False
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli/current").symlink_to("1234")
    assert lab_host.room(str(tmp_path))["provisioned"] is True
