"""Layer 4: the module's file, headers, DKMS."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu.machines import KERNEL, Machine, finding, working

from iblvideo_admin.gpu import driver_files

VERSION, NEXT = "550.54.14", "6.1.0-26-amd64"
FOLDER = f"/lib/modules/{KERNEL}"


def bare(root: Path) -> Machine:
    return Machine(root).card("10de:1b06", driver=None)


def test_all_in_place(tmp_path: Path) -> None:
    found = finding(working(tmp_path), "headers")
    assert found.status == "pass" and found.evidence == f"{FOLDER}/updates/dkms/nvidia.ko"


@pytest.mark.parametrize(
    ("file", "status"),
    [
        ("updates/dkms/nvidia.ko.zst", "warn"), ("updates/dkms/nvidia-current.ko", "warn"),
        ("updates/dkms/nvidia-legacy-470xx.ko", "warn"), ("kernel/drivers/video/nvidia.ko.xz", "warn"),
        ("kernel/nvidia-550srv/nvidia.ko", "pass"), ("kernel/nvidia-550-open/nvidia.ko.zst", "pass"),
        ("extra/nvidia.ko.xz", "warn"),
        ("updates/dkms/nvidia-uvm.ko", "fail"), ("kernel/drivers/video/nvidiafb.ko", "fail"),
        ("updates/dkms/nvidia-current-drm.ko", "fail"), ("updates/dkms/nvidia.ko.old", "fail"),
    ],
)  # fmt: skip
def test_where_and_how_packages_put_the_module(tmp_path: Path, file: str, status: str) -> None:
    """Without headers: a module that was built here is a warning, a prebuilt one needs none."""
    content = b"\x7fELF\0version=550.54.14\0" if file.endswith(".ko") else b"(\xb5/\xfd"
    found = finding(bare(tmp_path).write(f"{FOLDER}/{file}", content), "headers")
    assert found.status == status
    if status == "warn":
        assert found.remedy == f"Run `apt-get install linux-headers-{KERNEL}`."


def test_headers_missing_so_that_dkms_built_for_the_old_kernel_only(tmp_path: Path) -> None:
    machine = bare(tmp_path).dkms(VERSION, kernel="6.1.0-24-amd64")
    found = finding(machine, "headers")
    assert found.status == "fail" and f"headers of the running kernel {KERNEL} are missing" in found.summary
    assert "built for 6.1.0-24-amd64" in found.evidence
    assert f"apt-get install linux-headers-{KERNEL}" in found.remedy and "dkms autoinstall" in found.remedy


def test_a_link_to_headers_that_leads_nowhere(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove(f"/usr/src/linux-headers-{KERNEL}")
    found = finding(machine, "headers")
    assert found.status == "warn" and "headers are missing" in found.summary


def test_headers_by_a_relative_link(tmp_path: Path) -> None:
    machine = working(tmp_path).link(f"{FOLDER}/build", "headers").folder(f"{FOLDER}/headers")
    assert finding(machine, "headers").status == "pass"


def test_dkms_that_failed(tmp_path: Path) -> None:
    found = finding(bare(tmp_path).headers().dkms("410.48", state="failed"), "headers")
    assert found.status == "fail" and "could not build" in found.summary
    assert "make.log: Error 2" in found.evidence and f"dkms install nvidia/410.48 -k {KERNEL}" in found.remedy


def test_dkms_that_has_not_run(tmp_path: Path) -> None:
    found = finding(bare(tmp_path).headers().dkms(VERSION, state="added"), "headers")
    assert found.status == "fail" and "is not built for the running kernel" in found.summary
    assert f"dkms install nvidia/{VERSION} -k {KERNEL}" in found.remedy


def test_no_driver_at_all(tmp_path: Path) -> None:
    found = finding(bare(tmp_path).headers(), "headers")
    assert found.status == "fail" and found.summary == "no NVIDIA driver is installed"
    assert "ubuntu-drivers install" in found.remedy and "nvidia-driver" in found.remedy


@pytest.mark.parametrize(
    ("limit", "debian"), [("470", "nvidia-tesla-470-driver"), ("580", "nvidia-driver"), ("390", "")]
)
def test_only_packages_that_exist_are_named(limit: str, debian: str) -> None:
    said = driver_files.install(limit)
    assert f"`apt-get install nvidia-driver-{limit}`" in said
    assert (f"on Debian `apt-get install {debian}`" in said) if debian else "Debian" not in said


def test_a_module_for_another_kernel_only(tmp_path: Path) -> None:
    found = finding(bare(tmp_path).headers().module_file(VERSION, kernel="6.1.0-24-amd64"), "headers")
    assert found.status == "fail"  # what a removed kernel left behind is none
    assert found.summary == "no NVIDIA driver is installed"
    machine = bare(tmp_path / "b").folder("/lib/modules/6.1.0-24-amd64/kernel")
    found = finding(machine.module_file(VERSION, kernel="6.1.0-24-amd64"), "headers")
    assert "for the kernel 6.1.0-24-amd64, but not for the running" in found.summary


def test_the_next_kernel_is_looked_at(tmp_path: Path) -> None:
    machine = working(tmp_path).folder(f"/lib/modules/{NEXT}/kernel").folder("/lib/modules/6.1.0-9-amd64/kernel")
    found = finding(machine, "headers")
    assert found.status == "warn" and f"kernel {NEXT}, which the next reboot starts" in found.summary
    assert f"dkms autoinstall -k {NEXT}" in found.remedy
    assert finding(machine.module_file(VERSION, kernel=NEXT), "headers").status == "pass"


def test_the_running_kernel_was_removed(tmp_path: Path) -> None:
    machine = bare(tmp_path).folder(f"/lib/modules/{NEXT}/kernel")
    machine.remove(FOLDER)
    found = finding(machine, "headers")
    assert (found.status, found.remedy) == ("fail", "Reboot.")


def test_a_loaded_module_speaks_for_itself(tmp_path: Path) -> None:
    machine = working(tmp_path)
    machine.remove(f"{FOLDER}/updates/dkms/nvidia.ko")
    found = finding(machine, "headers")
    assert found.status == "warn" and "will not be after a reboot" in found.summary and "dkms install" in found.remedy


@pytest.mark.parametrize("hidden", ["/lib/modules", f"{FOLDER}/kernel", "/proc/sys/kernel/osrelease"])
def test_a_sandbox_that_hides_modules(tmp_path: Path, hidden: str) -> None:
    machine = working(tmp_path)
    machine.remove(hidden)
    assert finding(machine, "headers").status == "warn"
    machine.unload("nvidia")
    assert finding(machine, "headers").status == "skip"


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\x7fELF\0version=\xff\xff\0", b"\0version=550.54.1"])
def test_a_module_that_is_no_module_never_passes(tmp_path: Path, content: bytes) -> None:
    machine = working(tmp_path).write(f"{FOLDER}/updates/dkms/nvidia.ko", content)
    assert finding(machine, "headers").status == "warn"  # it is loaded, but what will be?
    machine.unload("nvidia")
    assert finding(machine, "headers").status == "skip"


def test_release_order() -> None:
    names = ["6.1.0-9-amd64", "6.1.0-25-amd64", "6.10.0-1-amd64", "6.2.0-1-amd64", "x"]
    assert sorted(names, key=driver_files._order) == [names[0], names[1], names[3], names[2], "x"]


def test_version_and_signature_from_the_file_itself(tmp_path: Path) -> None:
    machine = working(tmp_path, version="410.48")
    file = driver_files.module_file(machine.sysroot, KERNEL)
    assert file is not None and (file.version, file.signed, file.prebuilt) == ("410.48", False, False)
