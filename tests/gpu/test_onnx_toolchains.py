"""The layers of check-gpu for toolchains of onnxruntime: packages, CUDA beside them, and real numbers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab
from stand_ins import cuda_libraries as stubs

from iblvideo_admin import toolchains
from iblvideo_admin.demo import WEIGHTS
from iblvideo_admin.gpu import catalogue, wheel_libraries
from iblvideo_admin.gpu.checks import libraries, packages
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.gpu.sysroot import Sysroot
from iblvideo_admin.settings import Settings

CPU, CUDA = toolchains.load("onnx-cpu"), toolchains.load("onnx-cuda12")
NEEDED = {"cublas": "libcublas.so.12", "cudnn": "libcudnn.so.9", "cuda_runtime": "libcudart.so.12"}
SYSTEM = "usr/lib/x86_64-linux-gnu"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Python packages as onnxruntime-gpu's lie there, of stubs, and a driver's library."""
    if shutil.which("cc") is None:
        pytest.skip("SKIPPED: stubs are made with a C compiler")
    site = tmp_path / "site-packages"
    made = [stubs.library(site / f"nvidia/{folder}/lib/{name}") for folder, name in NEEDED.items()]
    stubs.library(site / wheel_libraries.PROVIDER, needed=made)
    stubs.library(tmp_path / "root" / SYSTEM / "libcuda.so.1")
    monkeypatch.setattr(wheel_libraries, "site_packages", lambda: site)
    return tmp_path


def look(host: Path, driver: str | None = "550.54.14") -> Finding:
    return libraries.check(Context(Settings(), CUDA, Inventory((), driver), Sysroot(host / "root")))


def test_what_packages_bring_is_enough(host: Path) -> None:
    found = look(host)
    assert found.status == "pass" and "3 libraries of CUDA 12" in found.summary


@pytest.mark.parametrize("folder", NEEDED)
def test_what_is_missing_is_named(host: Path, folder: str) -> None:
    (host / f"site-packages/nvidia/{folder}/lib/{NEEDED[folder]}").unlink()
    found = look(host)
    assert found.status == "fail" and NEEDED[folder] in found.summary and "site.yml" in found.remedy


def test_what_is_damaged_is_named(host: Path) -> None:
    path = host / f"site-packages/nvidia/cudnn/lib/{NEEDED['cudnn']}"
    path.write_bytes(path.read_bytes()[:100])
    assert look(host).status == "fail" and NEEDED["cudnn"] in look(host).summary


def test_another_cuda_is_a_warning(host: Path) -> None:
    inside = host / f"site-packages/nvidia/cudnn/lib/{NEEDED['cudnn']}"
    shutil.move(inside, host / "root" / SYSTEM / inside.name)
    found = look(host)
    assert found.status == "warn" and "from outside the Python packages" in found.summary


def test_the_cpu_build_is_said(host: Path) -> None:
    (host / "site-packages" / wheel_libraries.PROVIDER).unlink()
    found = look(host)
    assert found.status == "fail" and "libonnxruntime_providers_cuda.so cannot be loaded" in found.summary


def test_without_onnxruntime_nothing_can_be_told(host: Path) -> None:
    shutil.rmtree(host / "site-packages/onnxruntime")
    assert look(host).status == "skip"


@pytest.mark.parametrize(("driver", "status"), [("550.54.14", "fail"), (None, "skip")])
def test_the_drivers_library_belongs_to_a_driver(host: Path, driver: str | None, status: str) -> None:
    (host / "root" / SYSTEM / "libcuda.so.1").unlink()
    assert look(host, driver).status == status


def answer(toolchain: toolchains.Toolchain, **changes: str) -> dict[str, Any]:
    installed = {**toolchain.versions(), **{name.replace("_", "-"): version for name, version in changes.items()}}
    return {"python": "3.11.7", "packages": installed, "damaged": {}, "pip_check": [], "environment": {}}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    def judge(data: dict[str, Any], toolchain: toolchains.Toolchain) -> Finding:
        monkeypatch.setattr(packages, "probe", lambda *_: data)
        return packages.check(Context(Settings(), toolchain, Inventory(), Sysroot(tmp_path)))

    return judge


@pytest.mark.parametrize("toolchain", [CPU, CUDA])
def test_as_locked_is_good_on_any_processor(judged: Any, toolchain: toolchains.Toolchain) -> None:
    assert judged(answer(toolchain), toolchain).status == "pass"


def test_both_builds_beside_each_other_are_told_apart(judged: Any) -> None:
    found = judged(answer(CUDA, onnxruntime="1.32.0"), CUDA)
    assert found.status == "fail" and "onnxruntime 1.32.0 is installed beside onnxruntime-gpu" in found.summary
    assert "stays idle" in found.evidence


@pytest.mark.parametrize(("python", "status"), [("3.9.2", "fail"), ("3.10.0", "pass"), ("3.14.1", "pass")])
def test_any_python_of_the_command_line_will_do(judged: Any, python: str, status: str) -> None:
    assert judged({**answer(CPU), "python": python}, CPU).status == status


def test_locks_are_read_for_this_python() -> None:
    """One lock serves several Pythons, with several versions of a package."""
    import numpy as np

    assert CPU.versions()["numpy"] == np.__version__
    assert "colorama" not in CPU.versions()  # for Windows only


def test_the_catalogue_speaks_of_them_too() -> None:
    said = "[E:onnxruntime] Failed to load library /x/libonnxruntime_providers_cuda.so with error: libcudnn.so.9: no"
    [hit] = catalogue.match(said)
    assert hit.entry.name == "cuda-packages-missing"
    assert catalogue.remedy(hit.entry, CUDA, CUDA.interpreter()).startswith("`")


@pytest.mark.timeout(120)
def test_the_real_one_passes(lab: Lab) -> None:
    """On this processor, with the demo's networks; and nothing of it needs a Python 3.7."""
    document = lab.json(
        "check-gpu", IBLVIDEO_ADMIN_TOOLCHAIN="onnx-cpu", IBLVIDEO_ADMIN_WEIGHTS_DIR=str(WEIGHTS),
        IBLVIDEO_ADMIN_DLC_PYTHON="/nowhere",
    )  # fmt: skip
    checks = {check["id"]: check for check in document["data"]["checks"]}
    assert {name for name, check in checks.items() if check["status"] not in ("pass", "skip")} <= {"host", "packages"}
    assert checks["compute"]["status"] == checks["network"]["status"] == "pass"
    assert "onnxruntime" in checks["compute"]["summary"] and "6 installed networks run" in checks["network"]["summary"]
