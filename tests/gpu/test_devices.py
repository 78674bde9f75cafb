"""Layer 6: device nodes, who may use them, and sandboxes that hide them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from gpu.machines import finding, working

from iblvideo_admin.gpu.checks import devices
from iblvideo_admin.gpu.sysroot import Sysroot


def test_all_there(tmp_path: Path) -> None:
    found = finding(working(tmp_path, "10de:1b06", "10de:1e04"), "devices")
    assert found.status == "pass" and found.evidence == "/dev/nvidiactl, /dev/nvidia0, /dev/nvidia1, /dev/nvidia-uvm"


def test_without_uvm(tmp_path: Path) -> None:
    found = finding(working(tmp_path).remove("/dev/nvidia-uvm"), "devices")
    assert found.status == "fail" and "/dev/nvidia-uvm" in found.summary
    assert found.remedy == "Run `nvidia-modprobe -u -c=0`."


@pytest.mark.parametrize("name", ["nvidia1", "nvidiactl"])
def test_a_missing_node_is_named(tmp_path: Path, name: str) -> None:
    found = finding(working(tmp_path, "10de:1b06", "10de:1e04").remove(f"/dev/{name}"), "devices")
    assert found.status == "fail" and found.summary.endswith(f": /dev/{name}")
    assert "nvidia-modprobe -u -c=0 -c=1" in found.remedy


def test_numbers_are_the_drivers_not_the_buses(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.write("/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t x\nDevice Minor: \t 3\n")
    assert "/dev/nvidia3" in finding(machine, "devices").summary
    os.mkfifo(machine.path("/dev/nvidia3"))
    assert finding(machine, "devices").status == "pass"


def test_a_driver_that_lists_no_cards_is_asked_through_the_bus(tmp_path: Path) -> None:
    machine = working(tmp_path, "10de:1b06", "10de:1e04")
    machine.remove("/proc/driver/nvidia/gpus")
    assert finding(machine, "devices").status == "pass"
    machine.remove("/dev/nvidia1")
    assert finding(machine, "devices").status == "fail"


def test_private_devices(tmp_path: Path) -> None:
    """What a unit with PrivateDevices=yes sees: its own /dev, while /proc still tells of the cards."""
    machine = working(tmp_path)
    machine.remove("/dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
        machine.write(f"/dev/{name}", "")
    found = finding(machine, "devices")
    assert found.status == "fail" and "a /dev of its own" in found.summary
    assert "PrivateDevices=no" in found.remedy and "DeviceAllow=" in found.remedy


def test_nodes_that_nobody_has_made_are_another_matter(tmp_path: Path) -> None:
    machine = working(tmp_path)
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"):
        machine.remove(f"/dev/{name}")
    found = finding(machine, "devices")
    assert found.status == "fail" and "PrivateDevices" not in found.remedy and "nvidia-modprobe" in found.remedy


@pytest.mark.parametrize(
    ("gid", "mode", "remedy"), [(44, 0o660, "usermod -aG"), (0, 0o660, "NVreg_DeviceFileMode"), (44, 0o640, "NVreg")]
)
def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gid: int, mode: int, remedy: str) -> None:
    machine = working(tmp_path)
    node = machine.path("/dev/nvidia0")
    node.chmod(mode)
    real = Path.stat

    def of_group(self: Path, **more: bool) -> os.stat_result:
        about = real(self, **more)
        return os.stat_result((*about[:5], gid, *about[6:])) if self == node else about

    monkeypatch.setattr(Path, "stat", of_group)
    monkeypatch.setattr(devices.os, "access", lambda path, wanted, **more: path != node)
    found = finding(machine, "devices")
    assert found.status == "fail" and "may not read and write /dev/nvidia0" in found.summary and remedy in found.remedy


def test_a_folder_in_a_nodes_place(tmp_path: Path) -> None:
    found = finding(working(tmp_path).unreadable("/dev/nvidia-uvm"), "devices")
    assert found.status == "fail" and "/dev/nvidia-uvm is not a device" in found.summary


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    assert finding(working(tmp_path).link("/dev/nvidia0", "gone"), "devices").status == "skip"


def test_on_a_real_host_only_a_device_will_do(tmp_path: Path) -> None:
    file = tmp_path / "nvidiactl"
    file.write_text("")
    found = devices._unusable(Sysroot(Path("/")), str(file), "")
    assert found is not None and found.status == "fail" and "not a device" in found.summary
    assert devices._unusable(Sysroot(Path("/")), "/dev/null", "") is None
    assert not stat.S_ISREG(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [(PermissionError(1, "Operation not permitted"), "DeviceAllow="), (OSError(6, "No device"), "rm")],
)
def test_a_device_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch, error: OSError, remedy: str) -> None:
    """A unit's DeviceAllow forbids it though its mode allows it; a node of a number long gone is no device either."""

    def refuse(*arguments: object) -> int:
        raise error

    monkeypatch.setattr(devices, "os", SimpleNamespace(**{**vars(os), "open": refuse}))
    found = devices._unusable(Sysroot(Path("/")), "/dev/null", "")
    assert found is not None and found.status == "fail" and remedy in found.remedy


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"Device Minor: \t x\n"])
def test_a_card_without_a_number_never_passes(tmp_path: Path, content: bytes) -> None:
    machine = working(tmp_path).write("/proc/driver/nvidia/gpus/0000:01:00.0/information", content)
    assert finding(machine, "devices").status == "skip"


def test_an_empty_dev(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove("/dev")
    assert finding(machine, "devices").status == "skip"
