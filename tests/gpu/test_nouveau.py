"""Layer 2: who holds the cards."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu.machines import Machine, finding, working

CONF = "/etc/modprobe.d/blacklist-nouveau.conf"


def test_kept_out(tmp_path: Path) -> None:
    found = finding(working(tmp_path), "nouveau")
    assert found.status == "pass" and f"{CONF}: blacklist nouveau" in found.evidence


def test_it_holds_the_card(tmp_path: Path) -> None:
    machine = Machine(tmp_path).card("10de:1b06", driver=None).nouveau()
    found = finding(machine, "nouveau")
    assert found.status == "fail" and "nouveau" in found.summary and "0000:01:00.0/driver" in found.evidence
    assert "blacklist-nouveau.conf" in found.remedy and "update-initramfs -u" in found.remedy
    found = finding(machine.blacklist(), "nouveau")  # written, but the initramfs is of before
    assert found.remedy == "Run `update-initramfs -u` and reboot."


def test_it_holds_the_card_though_modules_cannot_be_read(tmp_path: Path) -> None:
    machine = Machine(tmp_path).card("10de:1b06").nouveau().unreadable("/proc/modules")
    assert finding(machine, "nouveau").status == "fail"


def test_it_is_loaded_without_a_card(tmp_path: Path) -> None:
    found = finding(working(tmp_path).load("nouveau"), "nouveau")
    assert found.status == "warn" and "holds no card" in found.summary


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [
        (CONF, "blacklist nouveau\n", "pass"),
        ("/lib/modprobe.d/nvidia-graphics-drivers.conf", "# by the package\nblacklist nouveau\n", "pass"),
        ("/usr/lib/modprobe.d/x.conf", "alias nouveau off\n", "pass"),
        ("/etc/modprobe.d/x.conf", "  install nouveau /bin/false\n", "pass"),
        ("/proc/cmdline", "ro quiet modprobe.blacklist=nouveau,nova_core\n", "pass"),
        ("/proc/cmdline", "ro nouveau.modeset=0\n", "pass"),
        (CONF, "#blacklist nouveau\n", "warn"),
        (CONF, "blacklist nouveau-extra\n", "warn"),
        (CONF, "options nouveau modeset=1\n", "warn"),
        ("/etc/modprobe.d/blacklist-nouveau", "blacklist nouveau\n", "warn"),  # modprobe reads only .conf
        ("/proc/cmdline", "ro quiet\n", "warn"),
    ],
)
def test_what_keeps_it_out(tmp_path: Path, path: str, text: str, status: str) -> None:
    machine = working(tmp_path)
    machine.remove(CONF)
    found = finding(machine.write(path, text), "nouveau")
    assert found.status == status
    assert (path in found.evidence) == (status == "pass")


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove(CONF)
    machine.unreadable("/etc/modprobe.d/secret.conf")
    found = finding(machine, "nouveau")
    assert found.status == "warn" and "secret.conf" in found.evidence


def test_a_card_given_to_a_virtual_machine(tmp_path: Path) -> None:
    machine = working(tmp_path).card("10de:1e04", driver="vfio-pci")
    found = finding(machine, "nouveau")
    assert found.status == "warn" and "vfio-pci" in found.summary  # the other card is ours
    found = finding(Machine(tmp_path / "b").card("10de:1e04", driver="vfio-pci"), "nouveau")
    assert found.status == "fail"


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"nvidia\n", b"\xff\xfe nouveau 1 2 3\n"])
def test_modules_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    assert finding(working(tmp_path).write("/proc/modules", content), "nouveau").status == "skip"


def test_no_list_of_modules(tmp_path: Path) -> None:
    assert finding(working(tmp_path).remove("/proc/modules"), "nouveau").status == "skip"
