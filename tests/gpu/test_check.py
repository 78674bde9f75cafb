"""check-gpu: verdicts, what is skipped, what each failed layer says.  The driver is played by a stand-in for NVML."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab

from iblvideo_admin import settings, toolchains
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import check, choice, inventory
from iblvideo_admin.gpu.checks import capability, nvml
from iblvideo_admin.gpu.checks.base import Context
from iblvideo_admin.gpu.inventory import Gpu, Inventory

TURING = Gpu(0, "GPU-aaaa", "Quadro RTX 8000", (7, 5), 48 << 30, 1 << 30)
HOPPER = Gpu(1, "GPU-bbbb", "H100", (9, 0), 80 << 30, None)


def statuses(document: dict) -> dict[str, str]:
    return {found["id"]: found["status"] for found in document["data"]["checks"]}


def test_a_working_cpu_toolchain_passes(lab: Lab) -> None:
    document = lab.json("check-gpu")
    assert document["data"]["verdict"] == "pass", document
    assert document["exit_code"] == 0
    assert statuses(document) == {
        "nvml": "skip", "capability": "skip", "packages": "pass", "compute": "pass", "weights": "pass",
        "network": "pass", "host": "pass",
    }  # fmt: skip
    text = lab.run("check-gpu").stdout
    assert "SKIPPED" in text and "verdict: pass for toolchain dlc-tf1-cpu" in text


@pytest.mark.parametrize(
    ("mode", "layer", "skipped"),
    [
        ("wrong_package", "packages", {"compute", "network"}),
        ("no_libcublas", "compute", {"network"}),
        ("wrong_numbers", "compute", {"network"}),
        ("fail", "network", set()),
    ],
)
def test_the_first_layer_at_fault_is_named(lab: Lab, mode: str, layer: str, skipped: set[str]) -> None:
    document = lab.json("check-gpu", STAND_IN=mode)
    found = statuses(document)
    assert (document["data"]["verdict"], document["exit_code"]) == ("fail", 1)
    assert [name for name, status in found.items() if status == "fail"] == [layer]
    assert {name for name in skipped if found[name] == "skip"} == skipped
    assert document["errors"][0]["code"] == f"check.{layer}" and document["errors"][0]["remedy"]


def test_missing_weights(lab: Lab) -> None:
    shutil.rmtree(next(lab.weights.glob("paw2-*")))
    document = lab.json("check-gpu")
    assert statuses(document)["weights"] == "fail"
    assert "paw2-mic-*" in document["errors"][0]["message"]


def test_a_gpu_toolchain_without_a_gpu_never_passes(lab: Lab) -> None:
    for level in ("quick", "full"):
        document = lab.json("check-gpu", "--toolchain", "dlc-tf1-cuda10.0", "--level", level)
        assert document["data"]["verdict"] != "pass"
        assert document["exit_code"] == 1
        assert document["data"]["level"] == level


def test_quick_on_a_cpu_toolchain_has_looked_at_nothing(lab: Lab) -> None:
    assert lab.json("check-gpu", "--level", "quick")["data"]["verdict"] == "unknown"


def test_an_unknown_toolchain(lab: Lab) -> None:
    document = lab.json("check-gpu", "--toolchain", "dlc-tf9")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "toolchain.unknown")


@pytest.mark.parametrize(
    ("cards", "driver", "status"),
    [
        ((TURING,), "470.256.02", "pass"),
        ((TURING,), "410.48", "pass"),
        ((TURING,), "396.26", "fail"),
        ((TURING, HOPPER), "580.1", "fail"),
        ((replace(TURING, capability=None),), "580.1", "fail"),
        ((replace(TURING, capability=(3, 0)),), "470.1", "fail"),
    ],
)
def test_cards_and_driver_against_the_reference(cards: tuple[Gpu, ...], driver: str, status: str) -> None:
    context = Context(settings.Settings(), toolchains.load("dlc-tf1-cuda10.0"), Inventory(cards, driver))
    assert capability.check(context).status == status
    assert nvml.check(context).status == "pass"


def test_which_toolchain_is_recommended() -> None:
    assert choice.recommended((TURING,)) == "dlc-tf1-cuda10.0"
    assert choice.recommended((TURING, HOPPER)) == "dlc-tf1-cpu"
    assert choice.recommended(()) == "dlc-tf1-cpu"


def test_the_setting_gpus() -> None:
    cards = Inventory((TURING, HOPPER), "580.1")
    assert choice.allowed(settings.Settings(gpus="1"), cards) == (HOPPER,)
    assert choice.allowed(settings.Settings(gpus="none"), cards) == ()
    assert choice.resolve(settings.Settings(gpus="0"), cards).name == "dlc-tf1-cuda10.0"
    for wrong in ("first", "7", ""):
        with pytest.raises(UserError) as caught:
            choice.allowed(settings.Settings(gpus=wrong), cards)
        assert caught.value.code == "settings.invalid"


def test_what_a_card_does_not_report_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Python bindings, over a driver that lacks some answers."""
    import pynvml

    def lacking(*_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name, answer in {
        "nvmlInit": None, "nvmlShutdown": None, "nvmlDeviceGetCount": 1, "nvmlDeviceGetHandleByIndex": 0,
        "nvmlSystemGetDriverVersion": b"470.1", "nvmlDeviceGetUUID": b"GPU-aaaa", "nvmlDeviceGetName": b"Tesla K80",
    }.items():  # fmt: skip
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCudaComputeCapability", lacking)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lacking)
    looked = inventory.look()
    assert looked == Inventory((Gpu(0, "GPU-aaaa", "Tesla K80", None, None, None),), "470.1")
    assert looked.gpus[0].as_data()["capability"] is None


def test_without_a_driver_there_is_a_reason(tmp_path: Path) -> None:
    looked = inventory.look()
    if looked.gpus:
        pytest.skip("SKIPPED: this machine has a GPU")
    assert looked.problem
    result = check.check_gpu(
        settings.Settings(toolchain="dlc-tf1-cuda10.0", subjects_dir=tmp_path, state_dir=tmp_path), level="quick"
    )
    assert result.data["verdict"] == "unknown"


@pytest.mark.parametrize(
    "script",
    ["echo '{}'", "echo '[]'", "echo junk", "true", "exit 3", "kill -9 $$", 'echo \'{"python": 3, "packages": []}\'',
     "head -c 100 /dev/urandom", "cat; echo '{}'"],
)  # fmt: skip
def test_an_interpreter_that_says_something_else(lab: Lab, script: str) -> None:
    lab.python.write_text(f"#!/bin/sh\n{script}\n")
    document = lab.json("check-gpu")
    assert (document["exit_code"], statuses(document)["packages"]) == (1, "fail")


@pytest.mark.parametrize("python", ["a folder", "a text"])
def test_an_interpreter_that_is_none(lab: Lab, python: str) -> None:
    lab.python.unlink()
    if python == "a folder":
        lab.python.mkdir()
    else:
        lab.python.write_text("no program")
    assert statuses(lab.json("check-gpu"))["packages"] == "fail"


@pytest.mark.parametrize("answer", ["nan", "nan first", "odd devices", "no devices"])
def test_a_probe_whose_numbers_are_none(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    from iblvideo_admin.gpu.checks import base, compute

    nan = float("nan")
    said = {"tensorflow": "1.13.1", "devices": [["/cpu", "CPU", ""]], "matmul_error": 1e-6, "convolution_error": 1e-6}
    said |= {"matmul_error": nan} if answer == "nan first" else {}
    said |= {"convolution_error": nan} if answer == "nan" else {}
    said |= {"devices": [3, []]} if answer == "odd devices" else {}
    said |= {"devices": None} if answer == "no devices" else {}
    done = base.subprocess.CompletedProcess([], 0, json.dumps(said), "")
    monkeypatch.setattr(base.subprocess, "run", lambda *_, **__: done)
    context = Context(settings.Settings(), toolchains.load("dlc-tf1-cpu"), Inventory())
    assert compute.check(context).status == ("pass" if answer == "odd devices" else "fail")


def test_a_driver_that_does_not_answer_is_not_the_setting_s_fault(tmp_path: Path) -> None:
    dead = Inventory(problem="Driver Not Loaded")
    assert choice.allowed(settings.Settings(gpus="0"), dead) == ()
