"""Layer 3: Secure Boot and the module's signature."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu.machines import EFIVAR, KERNEL, Machine, finding, working

MODULE = f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko"
REJECTED = "Loading of module with unavailable key is rejected"


def refused(root: Path, *log: str) -> Machine:
    """Secure Boot is on, the module is there and not loaded."""
    machine = Machine(root).card("10de:1b06", driver=None).blacklist().headers().secure_boot(on=True)
    return machine.module_file("550.54.14").dkms("550.54.14").log(*log)


def test_off_on_and_loaded_or_no_efi(tmp_path: Path) -> None:
    machine = working(tmp_path)
    assert finding(machine, "secure_boot").status == "pass"
    found = finding(machine.secure_boot(on=True), "secure_boot")
    assert found.status == "pass" and "has taken" in found.summary
    found = finding(machine.remove("/sys/firmware/efi"), "secure_boot")
    assert found.status == "pass" and "no EFI firmware" in found.summary


def test_firmware_without_secure_boot(tmp_path: Path) -> None:
    machine = working(tmp_path).write(EFIVAR.replace("SecureBoot", "BootOrder"), b"\7\0\0\0\0\0")
    assert finding(machine.remove(EFIVAR), "secure_boot").status == "pass"


@pytest.mark.parametrize(
    "line",
    [
        REJECTED, "Loading of unsigned module is rejected", "Loading of module with unsupported crypto is rejected",
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
        "nvidia: module verification failed: signature and/or required key missing - tainting kernel",
        "Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7",
    ],
)  # fmt: skip
def test_the_kernel_refuses_the_module(tmp_path: Path, line: str) -> None:
    found = finding(refused(tmp_path, line, "e1000e: link is up"), "secure_boot")
    assert found.status == "fail" and found.evidence == line
    assert "mokutil --import /var/lib/dkms/mok.pub" in found.remedy and "Enroll MOK" in found.remedy


def test_the_hosts_own_key_is_named(tmp_path: Path) -> None:
    machine = refused(tmp_path, REJECTED).write("/var/lib/shim-signed/mok/MOK.der", b"0")
    assert "mokutil --import /var/lib/shim-signed/mok/MOK.der" in finding(machine, "secure_boot").remedy


def test_an_unsigned_module_needs_no_log(tmp_path: Path) -> None:
    machine = refused(tmp_path)
    machine.remove("/dev/kmsg")
    found = finding(machine, "secure_boot")
    assert found.status == "fail" and found.evidence == MODULE


def test_a_signed_module_that_nothing_refused(tmp_path: Path) -> None:
    machine = refused(tmp_path)
    signed = machine.path(MODULE).read_bytes() + b"~Module signature appended~\n"
    found = finding(machine.write(MODULE, signed), "secure_boot")
    assert found.status == "warn" and "mokutil" in found.remedy


def test_nothing_is_known_of_the_refusal(tmp_path: Path) -> None:
    machine = refused(tmp_path).unreadable("/dev/kmsg").unreadable(MODULE)
    assert finding(machine, "secure_boot").status == "warn"


@pytest.mark.parametrize("content", [b"", b"\1", b"\6\0\0\0", b"\6\0\0\0\2", b"\6\0\0\0\0\0", b"\xff" * 5])
def test_a_variable_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    machine = working(tmp_path).write(EFIVAR, content)
    found = finding(machine, "secure_boot")
    assert found.status == "warn" and "loaded anyway" in found.summary
    machine.unload("nvidia")
    assert finding(machine, "secure_boot").status == "skip"


@pytest.mark.parametrize("hidden", ["/sys/firmware", "/sys/firmware/efi/efivars"])
def test_a_hidden_firmware_is_not_a_missing_one(tmp_path: Path, hidden: str) -> None:
    machine = working(tmp_path)
    machine.remove(hidden)
    machine.folder(hidden)
    assert finding(machine, "secure_boot").status == "warn"
    machine.unload("nvidia")
    assert finding(machine, "secure_boot").status == "skip"
