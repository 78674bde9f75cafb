"""Layer 1: cards on the bus."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu.machines import Machine, finding, working

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import pci_devices
from iblvideo_admin.gpu.checks import pci
from iblvideo_admin.gpu.checks.base import Context
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.settings import Settings

GTX = Gpu(0, "GPU-a", "GTX 1080 Ti", (6, 1), 11 << 30, 0)

CARD = "/sys/bus/pci/devices/0000:01:00.0"


def test_cards_are_named_with_family_and_capability(tmp_path: Path) -> None:
    found = finding(working(tmp_path, "10de:1b06", "10de:2684"), "pci")
    assert found.status == "pass"
    assert "0000:01:00.0 GP102 [GeForce GTX 1080 Ti] (Pascal, 6.1)" in found.summary
    assert "0000:02:00.0 AD102 [GeForce RTX 4090] (Ada, 8.9)" in found.summary


def test_the_cards_as_they_are(tmp_path: Path) -> None:
    bus = pci_devices.look(working(tmp_path).card("10de:2330", driver=None, kind="0x030200").sysroot)
    assert [(card.address, card.pci_id, card.driver, card.answers) for card in bus.cards] == [
        ("0000:01:00.0", "10de:1b06", "nvidia", True),
        ("0000:02:00.0", "10de:2330", None, True),
    ]
    assert bus.cards[0].name == "GP102 [GeForce GTX 1080 Ti]" and not bus.unread


def test_pci_ids_elsewhere_or_nowhere(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove("/usr/share/misc/pci.ids")
    assert "0000:01:00.0 10de:1b06 (Pascal, 6.1)" in finding(machine, "pci").summary
    machine.pci_ids("/usr/share/hwdata/pci.ids")
    assert "GeForce GTX 1080 Ti" in finding(machine, "pci").summary
    machine.unreadable("/usr/share/hwdata/pci.ids")
    assert finding(machine, "pci").status == "pass"


def test_a_card_of_no_known_family(tmp_path: Path) -> None:
    found = finding(working(tmp_path, "10de:fffe"), "pci")
    assert found.status == "pass" and "unknown chip family" in found.summary


def test_no_card_and_no_driver_is_a_host_without_gpu(tmp_path: Path) -> None:
    found = finding(Machine(tmp_path), "pci")
    assert found.status == "skip" and "no NVIDIA card" in found.summary and "onnx-cpu" in found.remedy


def test_no_card_where_a_driver_waits_for_one(tmp_path: Path) -> None:
    found = finding(Machine(tmp_path).libraries("550.54.14"), "pci")
    assert found.status == "fail" and "libnvidia-ml.so.550.54.14" in found.evidence and "power" in found.remedy


def test_sound_and_bridges_of_nvidia_are_no_cards(tmp_path: Path) -> None:
    machine = Machine(tmp_path).device("0000:05:00.0", "10de:22a3", "0x068000")
    machine.device("0000:05:00.1", "10de:10ef", "0x040300")
    assert finding(machine, "pci").status == "skip"


def test_a_card_that_has_fallen_off_the_bus(tmp_path: Path) -> None:
    found = finding(working(tmp_path, "10de:1b06", "10de:1e04").write(f"{CARD}/config", b"\xff" * 64), "pci")
    assert found.status == "fail" and "0000:01:00.0" in found.summary and "fallen off the bus" in found.summary


@pytest.mark.parametrize("file", ["vendor", "class", "device"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0x", b"4318\n", None])
def test_a_device_that_cannot_be_read_never_passes(tmp_path: Path, file: str, content: bytes | None) -> None:
    machine = working(tmp_path)
    if content is None:
        machine.unreadable(f"{CARD}/{file}")
    else:
        machine.write(f"{CARD}/{file}", content)
    assert finding(machine, "pci").status == "skip"
    assert finding(machine.card("10de:1e04"), "pci").status == "warn"  # the other one is seen


def test_no_bus_at_all(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove("/sys/bus")
    assert finding(machine, "pci").status == "skip"
    machine.folder("/sys/bus/pci/devices")
    assert finding(machine, "pci").status == "skip"


def test_a_driver_that_is_no_link(tmp_path: Path) -> None:
    found = finding(working(tmp_path).unreadable(f"{CARD}/driver"), "pci")
    assert found.status == "skip" and "driver" in found.evidence


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = working(tmp_path)

    def refuse(path: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("iblvideo_admin.gpu.sysroot.os.listdir", refuse)
    found = finding(machine, "pci")
    assert found.status == "skip" and "Permission denied" in found.evidence


def test_cards_that_only_nvml_lists(tmp_path: Path) -> None:
    """As in a container with a /sys of its own: to switch the server off would not help."""
    found = pci.check(
        Context(Settings(), toolchains.load("dlc-tf1-cuda10.0"), Inventory((GTX,)), Machine(tmp_path).sysroot)
    )
    assert found.status == "fail" and "no NVIDIA card, but NVML lists 1" in found.summary
    assert "GTX 1080 Ti" in found.evidence and "Switch" not in found.remedy
