"""Layer 5: the loaded module, its cards, the libraries beside it, its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu.machines import KERNEL, LIBRARIES, Machine, finding, working

XID79 = "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
XID31 = "NVRM: Xid (PCI:0000:01:00): 31, pid=2231, name=python, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS"
TOO_OLD = (
    "NVRM: The NVIDIA Tesla K80 GPU installed in this system is\\x0aNVRM:  supported through the NVIDIA 470.xx Legacy "
    "drivers. Please\\x0aNVRM:  visit http://www.nvidia.com/object/unix.html for more information."
)
NOT_OPEN = (
    "NVRM: The NVIDIA GPU 0000:02:00.0 (PCI ID: 10de:1b82)\\x0aNVRM: installed in this system is not supported by open"
    "\\x0aNVRM: nvidia.ko because it does not include the required GPU\\x0aNVRM: System Processor (GSP)."
)


def unloaded(root: Path, *cards: str, version: str = "550.54.14") -> Machine:
    """Everything is there, only the module is not loaded."""
    machine = Machine(root).pci_ids()
    for card in cards or ("10de:1b06",):
        machine.card(card, driver=None)
    return machine.blacklist().secure_boot(on=False).headers().module_file(version).libraries(version)


def test_loaded_and_well(tmp_path: Path) -> None:
    found = finding(working(tmp_path, "10de:1b06", "10de:1e04"), "module")
    assert found.status == "pass"
    assert "driver 470.256.02 is loaded and holds 2 of 2 cards" in found.summary and "no Xid error" in found.summary


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu Sep  6 06:36:33 CDT 2018",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  470.256.02  Release Build  (dvs-builder@U16)",
    ],
)
def test_either_witness_of_the_version_will_do(tmp_path: Path, line: str) -> None:
    machine = working(tmp_path).write("/proc/driver/nvidia/version", line + "\nGCC version:  gcc 12.2.0\n")
    machine.remove("/sys/module/nvidia/version")
    found = finding(machine, "module")
    assert found.status == "pass" and "driver 470.256.02" in found.summary
    machine.write("/proc/driver/nvidia/version", b"\xff\xfe\0")
    assert finding(machine, "module").status == "skip"


def test_an_update_underneath_needs_a_reboot(tmp_path: Path) -> None:
    machine = working(tmp_path)
    for name in ("libnvidia-ml.so", "libcuda.so"):
        machine.remove(f"{LIBRARIES}/{name}.470.256.02")
    found = finding(machine.libraries("550.54.14"), "module")
    assert found.status == "fail" and "runs driver 470.256.02" in found.summary and "550.54.14" in found.summary
    assert f"{LIBRARIES}/libnvidia-ml.so.550.54.14" in found.evidence
    assert found.remedy.startswith("Reboot") and "apt-mark hold" in found.remedy


def test_an_old_library_that_no_link_names_is_no_fault(tmp_path: Path) -> None:
    machine = working(tmp_path).write(f"{LIBRARIES}/libnvidia-ml.so.410.48", b"")
    assert finding(machine, "module").status == "pass"


def test_libraries_of_two_drivers(tmp_path: Path) -> None:
    found = finding(working(tmp_path).libraries("550.54.14", "/usr/lib64"), "module")
    assert found.status == "warn" and "several drivers" in found.summary


def test_debians_folder_and_its_alternatives(tmp_path: Path) -> None:
    machine = working(tmp_path)
    for name in ("libnvidia-ml.so", "libcuda.so"):
        machine.remove(f"{LIBRARIES}/{name}.470.256.02").link(
            f"{LIBRARIES}/{name}.1", f"/etc/alternatives/glx--{name}.1"
        )
    assert finding(machine, "module").status == "warn"  # there are none
    machine.libraries("470.256.02", f"{LIBRARIES}/nvidia/current")
    machine.link(f"{LIBRARIES}/nvidia/current/libnvidia-ml.so.1", "/etc/alternatives/glx--libnvidia-ml.so.1")
    found = finding(machine, "module")
    assert found.status == "pass" and "current/libnvidia-ml.so.470.256.02" in found.evidence


def test_folders_of_libraries_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from iblvideo_admin.gpu import driver_files
    from iblvideo_admin.gpu.sysroot import CannotLookError

    def refuse(sysroot: object) -> dict[str, str]:
        raise CannotLookError("/usr/lib cannot be listed: Permission denied")

    monkeypatch.setattr(driver_files, "library_versions", refuse)
    assert finding(working(tmp_path), "module").status == "warn"


def test_not_loaded(tmp_path: Path) -> None:
    found = finding(unloaded(tmp_path), "module")
    assert (found.status, found.summary) == ("fail", "NVIDIA's module is not loaded")
    assert "modprobe nvidia" in found.remedy


def test_not_loaded_for_a_setting(tmp_path: Path) -> None:
    machine = unloaded(tmp_path).write(
        "/lib/modprobe.d/blacklist-nvidia.conf", "blacklist nvidia-drm\nalias nvidia off\n"
    )
    found = finding(machine, "module")
    assert found.status == "fail" and "blacklist-nvidia.conf: alias nvidia off" in found.evidence


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (TOO_OLD, "too old for this driver"), (NOT_OPEN, "open kernel module does not know"),
        ("NVRM: requires use of the NVIDIA open kernel modules.", "needs the open kernel module"),
        ("NVRM: installed in this system is not supported by the", "this driver does not know the card"),
        ("NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:", "no room on the bus"),
        ("nvidia: version magic '6.1.0-24-amd64 SMP' should be '6.1.0-25-amd64 SMP'", "built for another kernel"),
    ],
)  # fmt: skip
def test_not_loaded_and_the_log_says_why(tmp_path: Path, line: str, said: str) -> None:
    found = finding(unloaded(tmp_path).log("e1000e: link is up", line, "NVRM: None of the devices"), "module")
    assert found.status == "fail" and said in found.summary and found.remedy
    assert "\\x0a" not in found.evidence and found.evidence


def test_a_card_past_the_drivers_branches(tmp_path: Path) -> None:
    """Told from the bus and the driver's version alone, without a log."""
    machines = (
        unloaded(tmp_path / "0", "10de:102d"),
        working(tmp_path / "1", version="550.54.14").card("10de:102d", driver=None),
    )
    for machine in machines:
        machine.remove("/dev/kmsg")
        found = finding(machine, "module")
        assert found.status == "fail"
        assert (
            "no longer knows the card" in found.summary and "Tesla K80" in found.summary and "Kepler" in found.summary
        )
        assert "nvidia-tesla-470-driver" in found.remedy


def test_a_card_that_is_too_new_for_the_driver(tmp_path: Path) -> None:
    found = finding(working(tmp_path).card("10de:2b85", driver=None), "module")
    assert found.status == "fail" and "does not yet know" in found.summary and "570 or newer" in found.summary


@pytest.mark.parametrize(("card", "version"), [("10de:102d", "470.256.02"), ("10de:2b85", "570.86.10")])
def test_the_ends_of_a_familys_branches_belong_to_it(tmp_path: Path, card: str, version: str) -> None:
    found = finding(working(tmp_path, version=version).card(card, driver=None), "module")
    assert found.status == "fail" and found.summary.startswith("the driver does not hold the card 0000:02:00.0")


def test_a_card_that_is_not_held(tmp_path: Path) -> None:
    machine = working(tmp_path).card("10de:1e04", driver=None)
    found = finding(machine, "module")
    assert found.status == "fail" and "does not hold the card 0000:02:00.0 TU102" in found.summary
    found = finding(machine.log("NVRM: GPU 0000:02:00.0: RmInitAdapter failed! (0x24:0x72:1568)"), "module")
    assert "could not be started" in found.summary and "RmInitAdapter" in found.evidence


def test_xids(tmp_path: Path) -> None:
    machine = working(tmp_path)
    found = finding(machine.log(XID31, XID31, "usb 1-1: new device"), "module")
    assert found.status == "warn" and "Xid 31 of card 0000:01:00 since the boot (2 times)" in found.summary
    assert found.evidence.startswith(XID31)
    found = finding(machine.log(XID31, XID79), "module")
    assert found.status == "fail" and "Xid 79" in found.summary and "fallen off the bus" in found.summary
    assert XID31 in found.evidence and "the driver wrote" not in found.evidence  # the same event, told once
    assert "Switch the server off" in found.remedy


def test_an_xid_without_an_entry(tmp_path: Path) -> None:
    found = finding(working(tmp_path).log("NVRM: Xid (0000:01:00): 999, something new"), "module")
    assert found.status == "warn" and "Xid 999" in found.summary and found.remedy


@pytest.mark.parametrize(
    "line", ["NVRM: loading NVIDIA UNIX x86_64 Kernel Module  470.256.02", "python: NVRM Xid 79", "NVRM: Xid (x): 79"]
)
def test_lines_that_are_no_xid(tmp_path: Path, line: str) -> None:
    assert finding(working(tmp_path).log(line), "module").status == "pass"


def test_words_of_the_past_are_a_warning(tmp_path: Path) -> None:
    mismatch = "NVRM: API mismatch: the client has the version 470.57.02, but"
    found = finding(working(tmp_path).log(mismatch), "module")
    assert found.status == "warn" and "another version" in found.summary and mismatch in found.evidence
    found = finding(working(tmp_path / "b").log("NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x26)"), "module")
    assert found.status == "fail"


def test_a_log_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove("/dev/kmsg")
    found = finding(machine, "module")
    assert found.status == "warn" and "kernel log cannot be read" in found.summary and "adm" in found.remedy


def test_modules_that_cannot_be_read(tmp_path: Path) -> None:
    assert finding(working(tmp_path).unreadable("/proc/modules"), "module").status == "skip"


def test_an_unreadable_module_file_does_not_hide_that_it_is_not_loaded(tmp_path: Path) -> None:
    machine = unloaded(tmp_path).unreadable(f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko").unreadable("/dev/kmsg")
    assert finding(machine, "module").status == "fail"
