"""check-gpu on whole machines, the unchanged NVML bindings over the stand-in: exactly what the golden files say."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from gpu import nvml_machines
from lab import Lab


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nvml_machines.require_compiler()
    return tmp_path_factory.mktemp("common")


@pytest.mark.parametrize("name", nvml_machines.CASES)
def test_a_machine(name: str, lab: Lab, common: Path) -> None:
    golden = json.loads((nvml_machines.GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert nvml_machines.expected(nvml_machines.checked(name, lab, common)) == golden


def test_the_quick_level_is_quick(lab: Lab, common: Path) -> None:
    """Two seconds are promised to units that wait for it. CPU seconds: what else runs here does not count."""

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    nvml_machines.checked("gtx_1080_ti_on_410", lab, common)  # makes the libraries
    for _ in range(3):
        before = spent()
        assert nvml_machines.again("gtx_1080_ti_on_410", lab, common)["data"]["verdict"] == "pass"
        if (took := spent() - before) < 2.0:
            return
    pytest.fail(f"{took:.1f} s of the processor, three times")


def test_every_golden_file_and_every_machine_is_used() -> None:
    assert {path.stem for path in nvml_machines.GOLDEN.glob("*.json")} == set(nvml_machines.CASES)
    used = {name for name, case in nvml_machines.CASES.items() if case.library}
    assert {path.stem for path in (nvml_machines.NVML / "machines").iterdir()} == used


@pytest.mark.parametrize("name", nvml_machines.CASES)
def test_what_a_golden_file_may_say(name: str) -> None:
    """Whatever the file was made from: nothing passes that did not, and who reads a fault reads what to do."""
    golden = json.loads((nvml_machines.GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    statuses = set(golden["layers"].values())
    verdict = "fail" if "fail" in statuses else "unknown" if "skip" in statuses else "pass"
    assert (golden["verdict"], golden["exit_code"]) == (verdict, 0 if verdict == "pass" else 1)
    assert list(golden["layers"]) == sorted(golden["layers"], key=lambda layer: int(layer.split()[0]))
    if verdict == "fail":
        lowest = next(layer for layer, status in golden["layers"].items() if status == "fail")
        assert golden["first"]["id"] == lowest.split()[1] and golden["first"]["remedy"]
