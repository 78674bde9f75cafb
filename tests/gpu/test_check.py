"""check-gpu: verdicts, what is skipped, what each failed layer says.  The driver is played by a stand-in for NVML."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from gpu.machines import Machine
from lab import Lab, until

from iblvideo_admin import settings, toolchains
from iblvideo_admin.engines import weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import check, inventory, speed
from iblvideo_admin.gpu.checks import packages
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.render.check import check as told


def statuses(document: dict) -> dict[str, str]:
    return {found["id"]: found["status"] for found in document["data"]["checks"]}


def context_of(lab: Lab) -> Context:
    return Context(settings.Settings(dlc_python=lab.python), toolchains.load("dlc-tf1-cpu"), Inventory())


def test_a_working_cpu_toolchain_passes(lab: Lab) -> None:
    document = lab.json("check-gpu")
    assert document["data"]["verdict"] == "pass", document
    assert document["exit_code"] == 0
    assert statuses(document) == {
        **dict.fromkeys(check.LAYERS[:10], "skip"), **dict.fromkeys(check.LAYERS[10:], "pass"),
    }  # fmt: skip
    text = told(document["data"])
    assert text[0] == "check-gpu: pass, toolchain dlc-tf1-cpu"
    assert "SKIPPED" in text[1] and text[-1] == "toolchain for this host: onnx-cpu"


@pytest.mark.parametrize(
    ("mode", "layer", "skipped"),
    [
        ("wrong_package", "packages", {"compute", "network"}),
        ("no_libcublas", "compute", {"network"}),
        ("wrong_numbers", "compute", {"network"}),
        ("illegal_instruction", "compute", {"network"}),
        ("new_skimage", "network", set()),
        ("fail", "network", set()),
        ("wrong_places", "network", set()),
    ],
)
def test_the_first_layer_at_fault_is_named(lab: Lab, mode: str, layer: str, skipped: set[str]) -> None:
    document = lab.json("check-gpu", STAND_IN=mode)
    found = statuses(document)
    assert (document["data"]["verdict"], document["exit_code"]) == ("fail", 1)
    assert [name for name, status in found.items() if status == "fail"] == [layer]
    assert {name for name in skipped if found[name] == "skip"} == skipped
    [error] = document["errors"]
    assert error["code"] == f"check.{layer}" and error["remedy"]
    # a processor that is too old: nobody prints anything then, the signal alone tells
    assert mode != "illegal_instruction" or "AVX" in error["message"]


def test_one_paragraph_says_what_why_and_what_to_type(lab: Lab) -> None:
    lines = lab.run("check-gpu", STAND_IN="no_libcublas").stdout.splitlines()
    assert lines[0] == "check-gpu: fail, layer 12 compute, toolchain dlc-tf1-cpu"
    [told] = [line for line in lines if line.startswith("Wrong first")]
    assert "CUDA 10.0 is not there" in told
    assert "Seen: ImportError: libcublas.so.10.0: cannot open shared object file" in told
    assert "What to do: `sh cuda_10.0" in told


def test_a_layer_below_that_is_not_known_is_told_before_the_fault(lab: Lab) -> None:
    """Without a card in the server, CUDA's missing libraries are not what to begin with."""
    Machine(lab.folder / "root").pci_ids()
    (lab.folder / "nvml").mkdir()
    (lab.folder / "nvml/libnvidia-ml.so.1").touch()  # hides the driver that this very machine may have
    lines = lab.run(
        "check-gpu", "--level", "quick", "--toolchain", "dlc-tf1-cuda10.0",
        IBLVIDEO_ADMIN_SYSROOT=str(lab.folder / "root"), IBLVIDEO_ADMIN_CUDA_ROOT="/nowhere",
        LD_LIBRARY_PATH=str(lab.folder / "nvml"),
    ).stdout.splitlines()  # fmt: skip
    assert "fail, layer 9 libraries" in lines[0]
    [told] = [line for line in lines if "Wrong first: layer 9 libraries: libcudart.so.10.0 is not found" in line]
    assert told.startswith("Not known: layer 1 pci: there is no NVIDIA card on the PCI bus.")
    assert "What to do: Put in a card, or use toolchain onnx-cpu, which needs none. Wrong first" in told


def test_the_ready_file_is_there_exactly_if_all_is_well(lab: Lab) -> None:
    ready = lab.folder / "ready"
    assert lab.json("check-gpu", "--ready-file", ready)["exit_code"] == 0
    assert json.loads(ready.read_text())["toolchain"] == "dlc-tf1-cpu"
    assert ready.stat().st_mode & 0o777 == 0o644
    lab.json("check-gpu", "--ready-file", ready, STAND_IN="no_libcublas")
    assert not ready.exists()
    for broken in ({"IBLVIDEO_ADMIN_TOOLCHAIN": "dlc-tf9"}, {"IBLVIDEO_ADMIN_WEIGHTS_DIR": "relative"}):
        ready.write_text("an earlier pass")
        assert lab.json("check-gpu", "--ready-file", ready, **broken)["exit_code"] in {2, 3}
        assert not ready.exists()


def test_a_ready_file_that_cannot_be_written_or_removed_is_an_error(lab: Lab) -> None:
    folder = lab.folder / "a folder"
    (folder / "in it").mkdir(parents=True)
    for mode in ("", "no_libcublas"):
        document = lab.json("check-gpu", "--ready-file", folder, STAND_IN=mode)
        assert document["errors"][0]["code"] == "output.not_writable"


def test_the_pace_is_held_against_this_hosts_own_first_one(lab: Lab) -> None:
    (lab.folder / "state").mkdir()
    kept = lab.folder / "state/check-baseline.json"
    lab.json("check-gpu", STAND_IN="wrong_places")
    assert not kept.exists()  # only a passing check is a measure
    lab.json("check-gpu")
    [(key, pace)] = json.loads(kept.read_text()).items()
    assert key == "dlc-tf1-cpu cpu" and pace > 0
    kept.write_text(json.dumps({key: pace * 1000}))
    document = lab.json("check-gpu")
    assert (statuses(document)["compute"], document["data"]["verdict"]) == ("warn", "pass")
    assert json.loads(kept.read_text()) == {key: pace * 1000}
    assert any(line.startswith("warning, layer 12 compute") for line in told(document["data"]))
    kept.write_text("{damaged")
    assert speed.baseline(kept.parent, key) is None
    speed.record(kept.parent, {key: pace})
    assert speed.baseline(kept.parent, key) == round(pace, 2)


def test_a_check_that_breaks_is_no_pass_and_no_trace(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from iblvideo_admin.gpu.checks import compute, host, network

    for slow in (compute, network):
        monkeypatch.setattr(slow, "check", lambda _: Finding("pass", ""))

    def broken(_: Context) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(host, "check", broken)
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    result = check.check_gpu(settings.load())
    assert result.data["verdict"] == "unknown"
    assert "ZeroDivisionError: a bug" in json.dumps(result.data)


def test_missing_weights(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from iblvideo_admin.gpu.checks import compute, network

    for slow in (compute, network):
        monkeypatch.setattr(slow, "check", lambda _: Finding("pass", ""))
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(next(lab.weights.glob("paw2-*")))
    document = check.check_gpu(settings.load()).document()
    assert statuses(document)["weights"] == "fail"
    assert document["errors"][0]["code"] == "check.weights" and "paw2-mic-*" in document["errors"][0]["message"]


def test_weights_that_cannot_be_read_are_the_weights_fault(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layer 13 would only repeat what TensorFlow says of them."""
    from iblvideo_admin.gpu.checks import compute

    def refused(self: weights.NetworkFiles) -> str:
        raise UserError("weights.damaged", f"{self.name} cannot be read: Permission denied")

    monkeypatch.setattr(weights.NetworkFiles, "sha256", refused)
    monkeypatch.setattr(compute, "check", lambda _: Finding("pass", ""))
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    found = {one["id"]: one for one in check.check_gpu(settings.load()).data["checks"]}
    assert found["weights"]["status"] == "fail" and "layer 14 says why" in found["network"]["summary"]


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


def test_without_a_driver_there_is_a_reason(tmp_path: Path) -> None:
    looked = inventory.look()
    if looked.gpus:
        pytest.skip("SKIPPED: this machine has a GPU")
    assert looked.problem
    result = check.check_gpu(
        settings.Settings(toolchain="dlc-tf1-cuda10.0", subjects_dir=tmp_path, state_dir=tmp_path), level="quick"
    )
    assert result.data["verdict"] != "pass"


@pytest.mark.parametrize(
    "script",
    ["echo '{}'", "echo '[]'", "echo junk", "true", "exit 3", "kill -9 $$", 'echo \'{"python": 3, "packages": []}\'',
     "head -c 100 /dev/urandom", "cat; echo '{}'"],
)  # fmt: skip
def test_an_interpreter_that_says_something_else(lab: Lab, script: str) -> None:
    lab.python.write_text(f"#!/bin/sh\n{script}\n")
    assert packages.check(context_of(lab)).status == "fail"


@pytest.mark.parametrize("python", ["a folder", "a text"])
def test_an_interpreter_that_is_none(lab: Lab, python: str) -> None:
    lab.python.unlink()
    if python == "a folder":
        lab.python.mkdir()
    else:
        lab.python.write_text("no program")
    assert packages.check(context_of(lab)).status == "fail"
    document = lab.json("check-gpu")
    assert (document["exit_code"], statuses(document)["packages"]) == (1, "fail")


@pytest.mark.parametrize("answer", ["nan", "nan first", "no numbers", "odd devices", "no devices"])
def test_a_probe_whose_numbers_are_none(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    from iblvideo_admin.gpu.checks import base, compute

    nan = float("nan")
    said = {"software": "TensorFlow 1.13.1", "devices": [["/cpu", "CPU", ""]], "errors": {"/cpu": [1e-6, 1e-6]}}
    said |= {"errors": {"/gpu": [nan, 1e-6], "/cpu": [0.0, 0.0]}} if answer == "nan first" else {}
    said |= {"errors": {"/cpu": [0.0, 0.0], "/gpu": [1e-6, nan]}} if answer == "nan" else {}
    said |= {"errors": {"/cpu": "fine"}} if answer == "no numbers" else {}
    said |= {"devices": [3, []]} if answer == "odd devices" else {}
    said |= {"devices": None} if answer == "no devices" else {}
    done = base.subprocess.CompletedProcess([], 0, json.dumps(said), "")
    monkeypatch.setattr(base, "_run", lambda *_: done)
    monkeypatch.setattr(compute, "_paced", lambda _, __, right: Finding("pass", right))
    context = Context(settings.Settings(), toolchains.load("dlc-tf1-cpu"), Inventory())
    assert compute.check(context).status == ("pass" if answer == "odd devices" else "fail")


def test_what_depends_on_the_card_is_not_tried_without_one(lab: Lab) -> None:
    """TensorFlow on a card that is too new would compile for half an hour."""
    document = lab.json("check-gpu", "--toolchain", "dlc-tf1-cuda10.0")
    [compute] = [found for found in document["data"]["checks"] if found["id"] == "compute"]
    assert compute["status"] == "skip" and compute["summary"].startswith("depends on ")


CARDS = (
    Gpu(0, "GPU-a", "GTX 1080 Ti", (6, 1), 11 << 30, 0),
    Gpu(1, "GPU-b", "GTX 1080 Ti", (6, 1), 11 << 30, 0),
    Gpu(2, "GPU-c", "RTX 4090", (8, 9), 24 << 30, 0),
)


@pytest.mark.parametrize("odd", ["", "wrong numbers", "only the CPU's numbers", "no device"])
def test_each_card_that_may_be_used_computes_alone_as_in_a_job(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    from iblvideo_admin.gpu.checks import base, compute

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # what this shell hides says nothing about jobs
    seen = []

    def run(_: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        seen.append(environment["CUDA_VISIBLE_DEVICES"])
        wrong = odd if seen[-1] == "GPU-b" else ""
        devices = [["/device:CPU:0", "CPU", ""], *([] if wrong == "no device" else [["/device:GPU:0", "GPU", ""]])]
        errors = {"/device:CPU:0": [0.0, 0.0], "/device:GPU:0": [0.5 if wrong == "wrong numbers" else 0.0, 0.0]}
        if wrong == "only the CPU's numbers":
            del errors["/device:GPU:0"]
        said = json.dumps({"software": "TensorFlow 1.13.1", "devices": devices, "errors": errors})
        return subprocess.CompletedProcess([], 0, said, "")

    monkeypatch.setattr(base, "_run", run)
    monkeypatch.setattr(compute, "_paced", lambda _, __, right: Finding("pass", right))
    context = Context(
        settings.Settings(gpus="0,1"), toolchains.load("dlc-tf1-cuda10.0"), Inventory(CARDS, "470.256.02")
    )
    found = compute.check(context)
    assert seen == ["GPU-a", "GPU-b"]
    assert found.status == ("fail" if odd else "pass")
    assert not odd or found.summary.startswith("GPU 1: ")


def test_a_probe_that_hangs_is_ended_with_all_that_it_started(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from iblvideo_admin.gpu.checks import base

    lab.python.write_text(f"#!/bin/sh\necho 'the last word' >&2\nsleep 300 &\necho $! > {lab.folder}/child\nwait\n")
    monkeypatch.setattr(base, "PROBE_LIMIT_S", 1)
    context = context_of(lab)
    with pytest.raises(base.ProbeError, match="no answer within 1 s") as caught:
        base.probe(context, "packages", {})
    found = base.explained(context, caught.value, "it hangs")
    assert found.evidence == "no answer within 1 s; the last word"
    state = Path(f"/proc/{(lab.folder / 'child').read_text().strip()}/stat")
    until(lambda: not state.exists() or state.read_text().split()[2] == "Z")
