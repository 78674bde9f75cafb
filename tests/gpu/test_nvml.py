"""Layer 7: what NVML says, beside what the PCI bus says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pynvml
import pytest
from gpu.machines import Machine, working

from iblvideo_admin import toolchains
from iblvideo_admin.gpu.checks import nvml
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.settings import Settings

GTX_1080_TI, K80 = "10de:1b06", "10de:102d"
FIRST = Gpu(0, "GPU-a", "GTX 1080 Ti", (6, 1), 11 << 30, 0, pci_address="0000:01:00.0")
SECOND = replace(FIRST, index=1, uuid="GPU-b", pci_address="0000:02:00.0")
LOST = Gpu(1, "", None, None, None, None, lost=True, problem="GPU is lost", error="GpuIsLost")
ERRORS = sorted({kind.__name__.removeprefix("NVMLError_") for kind in pynvml.NVMLError._valClassMapping.values()})


def judged(machine: Machine, inventory: Inventory, gpus: str = "all") -> Finding:
    return nvml.check(Context(Settings(gpus=gpus), toolchains.load("dlc-tf1-cuda10.0"), inventory, machine.sysroot))


@pytest.fixture
def one(tmp_path: Path) -> Machine:
    return working(tmp_path / "root")


@pytest.fixture
def two(tmp_path: Path) -> Machine:
    return working(tmp_path / "root", GTX_1080_TI, GTX_1080_TI)


@pytest.fixture
def none(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def test_both_witnesses_agree(two: Machine) -> None:
    found = judged(two, Inventory((FIRST, SECOND), "470.256.02"))
    assert found.status == "pass" and "driver 470.256.02, 2 GPU" in found.summary


@pytest.mark.parametrize("error", [*ERRORS, "NVMLError", "NVMLLibraryMismatchError", "NoAnswer", "UnicodeDecodeError"])
def test_every_error_has_a_cause_and_a_remedy(one: Machine, error: str) -> None:
    found = judged(one, Inventory(problem="its text", error=error))
    assert found.status == "fail" and found.remedy and "its text" in found.evidence
    lost = judged(one, Inventory((replace(LOST, index=0, error=error, problem="its text"),), "470.256.02"))
    assert lost.status == "fail" and lost.remedy


@pytest.mark.parametrize("error", ["LibraryNotFound", "DriverNotLoaded"])
def test_a_host_without_a_card_was_never_meant_to_have_a_driver(none: Machine, error: str) -> None:
    assert judged(none, Inventory(problem="x", error=error)).status == "skip"


def test_a_mismatch_tells_both_versions_and_how_to_keep_it_from_coming_back(one: Machine) -> None:
    one.libraries("470.239.06")
    one.path("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.470.256.02").unlink()
    found = judged(one, Inventory(problem="x", error="LibRmVersionMismatch"))
    assert "the kernel runs 470.256.02" in found.evidence and "470.239.06" in found.evidence
    assert "`reboot`" in found.remedy and "apt-mark hold" in found.remedy


def test_no_card_at_all(none: Machine) -> None:
    assert judged(none, Inventory((), "470.256.02")).status == "skip"


def test_a_driver_that_lists_no_card(one: Machine) -> None:
    found = judged(one, Inventory((), "470.256.02"))
    assert found.status == "fail" and "shows 1 of NVIDIA's cards, NVML 0" in found.summary


def test_a_card_that_only_the_bus_shows(two: Machine) -> None:
    found = judged(two, Inventory((FIRST,), "470.256.02"))
    assert found.status == "fail" and "0000:02:00.0" in found.summary and "0000:01:00.0" not in found.summary
    assert 'set gpus = "0"' in found.remedy
    assert judged(two, Inventory((FIRST,), "470.256.02"), gpus="0").status == "warn"


def test_a_card_given_to_a_virtual_machine_is_not_missed(two: Machine) -> None:
    two.link("/sys/bus/pci/devices/0000:02:00.0/driver", "../../../bus/pci/drivers/vfio-pci")
    assert judged(two, Inventory((FIRST,), "470.256.02")).status == "pass"


def test_a_card_that_this_driver_ignores(tmp_path: Path) -> None:
    machine = working(tmp_path / "root", GTX_1080_TI, K80, version="535.183.01")
    found = judged(machine, Inventory((FIRST,), "535.183.01"))
    assert found.status == "fail" and "R470 is the last branch of Kepler's drivers" in found.evidence
    assert "nvidia-driver-470" in found.remedy and 'set gpus = "0"' in found.remedy
    older = working(tmp_path / "older", "10de:2204", version="410.48")
    assert "R455 is the first branch of Ampere's" in judged(older, Inventory((), "410.48")).evidence


def test_a_card_that_only_nvml_shows(one: Machine) -> None:
    found = judged(one, Inventory((FIRST, SECOND), "470.256.02"))
    assert found.status == "warn" and "NVML lists 2 GPU, the PCI bus shows 1" in found.summary


def test_a_bus_that_cannot_be_read_leaves_one_witness(one: Machine) -> None:
    one.remove("/sys/bus/pci/devices")
    assert judged(one, Inventory((FIRST,), "470.256.02")).status == "warn"
    assert judged(one, Inventory((), "470.256.02")).status == "skip"
    assert judged(one, Inventory(problem="x", error="LibraryNotFound")).status == "skip"
    assert judged(one, Inventory(problem="x", error="Unknown")).status == "fail"


def test_a_lost_card_matters_where_it_may_be_used(two: Machine) -> None:
    cards = Inventory((FIRST, LOST), "470.256.02")
    found = judged(two, cards)
    assert found.status == "fail" and "GPU 1" in found.summary and "fallen off the bus" in found.summary
    assert found.remedy.endswith('To go on without it, set gpus = "0".')
    assert judged(two, cards, gpus="0").status == "warn"


def test_a_card_that_answers_with_errors(one: Machine) -> None:
    found = judged(one, Inventory((replace(FIRST, problem="Unknown Error", error="Unknown"),), "470.256.02"))
    assert found.status == "warn" and "answers with errors" in found.summary


def test_the_setting_gpus(two: Machine) -> None:
    assert judged(two, Inventory((FIRST, SECOND), "470.256.02"), gpus="none").status == "skip"
    found = judged(two, Inventory((FIRST,), "470.256.02"), gpus="1")
    assert found.status == "fail" and "card 1" in found.evidence and "0000:02:00.0" in found.summary


def test_a_card_without_a_uuid_is_no_card_for_a_job(two: Machine) -> None:
    cards = Inventory((FIRST, replace(SECOND, uuid="")), "470.256.02")
    found = judged(two, cards)
    assert found.status == "skip" and "GPU 1 GTX 1080 Ti tells no UUID" in found.summary and found.remedy
    assert judged(two, cards, gpus="0").status == "pass"


def test_a_card_that_another_driver_holds_is_not_the_drivers_fault(two: Machine) -> None:
    two.link("/sys/bus/pci/devices/0000:02:00.0/driver", "../../../bus/pci/drivers/nouveau")
    found = judged(two, Inventory((FIRST,), "470.256.02"))
    assert found.status == "fail" and "held by the kernel's driver nouveau" in found.evidence
    assert "Install" not in found.remedy and 'set gpus = "0"' in found.remedy
