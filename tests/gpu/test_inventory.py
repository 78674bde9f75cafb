"""What the unchanged NVML bindings make of drivers of several years, of lost cards and of nonsense."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from gpu import nvml_machines
from hypothesis import given, settings
from hypothesis import strategies as st

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import check, inventory
from iblvideo_admin.gpu.checks import capability, health, nvml
from iblvideo_admin.gpu.checks.base import Context
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.gpu.sysroot import Sysroot
from iblvideo_admin.settings import Settings

CARD = """driver = 470.256.02
[gpu]
name = Tesla K80
uuid = GPU-aaaa
pci_bus = 00000000:04:00.0
pci_device = 0x102d10de
capability = 3.7
memory = 11996954624 1048576
process = 4321 900000000
process = 20 7
graphics = 77 5000000
"""
SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from iblvideo_admin.gpu import inventory
from iblvideo_admin.gpu.sysroot import Sysroot
print(json.dumps(asdict(inventory.look(Sysroot(Path(sys.argv[1])), limit_s=float(sys.argv[2])))))
"""


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nvml_machines.require_compiler()
    return tmp_path_factory.mktemp("nvml")


def asked(folder: Path, text: str | bytes, root: Path, branch: int = 999, limit_s: float = 20) -> dict[str, Any]:
    machine = root / "machine.txt"
    machine.write_bytes(text if isinstance(text, bytes) else text.encode())
    library = nvml_machines.library(folder, branch)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), str(limit_s)],
        env={**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_MACHINE": str(machine)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("branch", [410, 450, 470, 550])
def test_processes_on_drivers_of_every_age(stand_in: Path, tmp_path: Path, branch: int) -> None:
    """410 has the first entry point only, 450 and 470 the second, 510 and later the third."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nalice:x:1001:100::/:/bin/sh\n")
    for pid, uid in ((4321, 1001), (77, 55)):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/status").write_text(f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        (tmp_path / f"proc/{pid}/comm").write_text("python\n")
        (tmp_path / f"proc/{pid}/cmdline").write_text("python\0/x/iblvideo_admin/engines/sidecar.py" * (pid == 77))
    [gpu] = asked(stand_in, CARD, tmp_path, branch)["gpus"]
    assert gpu["processes"] == [
        {"pid": 4321, "memory": 900000000, "user": "alice", "command": "python", "graphics": False, "ours": False},
        {"pid": 20, "memory": 7, "user": None, "command": None, "graphics": False, "ours": False},
        {"pid": 77, "memory": 5000000, "user": "55", "command": "python", "graphics": True, "ours": True},
    ]
    assert (gpu["pci_address"], gpu["pci_id"], gpu["uuid"]) == ("0000:04:00.0", "10de:102d", "GPU-aaaa")
    assert (gpu["memory_free"], gpu["memory_used"]) == (11996954624 - 1048576, 1048576)
    for not_told in ("temperature", "temperature_limit", "compute_mode", "persistence", "display", "retired_pages",
                     "repair_pending", "repair_failed", "problem"):  # fmt: skip
        assert gpu[not_told] is None


def test_the_unversioned_question_is_no_nvml_error() -> None:
    """Why every question is guarded against more than NVMLError."""
    assert not issubclass(pynvml.NVMLLibraryMismatchError, pynvml.NVMLError)


def test_the_second_entry_point_is_asked_before_the_first(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    playing(monkeypatch, QUESTIONS | {"nvmlDeviceGetComputeRunningProcesses_v3": pynvml.NVMLError(13)})
    second = [SimpleNamespace(pid=5, usedGpuMemory=7)]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses_v2", lambda _: second)
    [gpu] = inventory.look(Sysroot(host)).gpus
    assert gpu.processes is not None and [(process.pid, process.memory) for process in gpu.processes] == [(5, 7)]


def test_a_name_that_cannot_be_read_hides_nothing_else(stand_in: Path, tmp_path: Path) -> None:
    text = CARD.replace("Tesla K80", "\0").encode().replace(b"\0", b"Tesla\xff\xfe") + b"[gpu]\nname = Tesla K40\n"
    first, second = asked(stand_in, text, tmp_path)["gpus"]
    assert (first["name"], first["memory_total"], first["problem"]) == (None, 11996954624, None)
    assert second["name"] == "Tesla K40"


def test_a_process_whose_memory_is_not_told(stand_in: Path, tmp_path: Path) -> None:
    for branch in (410, 999):
        [gpu] = asked(stand_in, "[gpu]\nprocess = 5\n", tmp_path, branch)["gpus"]
        assert [process["memory"] for process in gpu["processes"]] == [None]


def test_a_lost_card_hides_no_other(stand_in: Path, tmp_path: Path) -> None:
    text = CARD + "[gpu]\nhandle = error 15\n" + "".join(CARD.splitlines(keepends=True)[1:]) + "lost_after = 5\n"
    first, second, third = asked(stand_in, text, tmp_path)["gpus"]
    assert (first["name"], first["lost"]) == ("Tesla K80", False)
    assert (second["name"], second["lost"], second["problem"]) == (None, True, "GPU is lost")
    assert (third["name"], third["lost"], third["memory_total"]) == ("Tesla K80", True, None)


@pytest.mark.parametrize(
    ("line", "error", "driver"),
    [("init = error 9", "DriverNotLoaded", None), ("init = error 18", "LibRmVersionMismatch", None),
     ("init = error 4", "NoPermission", None), ("init = error 999", "Unknown", None),
     ("init = error 4711", "NVMLError", None), ("count = error 999", "Unknown", "470.256.02")],
)  # fmt: skip
def test_an_nvml_that_fails(stand_in: Path, tmp_path: Path, line: str, error: str, driver: str | None) -> None:
    looked = asked(stand_in, f"{line}\n{CARD}", tmp_path)
    assert (looked["error"], looked["driver"], looked["gpus"]) == (error, driver, [])
    assert looked["problem"]


def test_an_error_whose_text_cannot_be_read(stand_in: Path, tmp_path: Path) -> None:
    assert asked(stand_in, b"init = error 4711\nerror_text = \xff\xfe\n", tmp_path)["problem"]


def test_an_nvml_that_hangs(stand_in: Path, tmp_path: Path) -> None:
    before = time.monotonic()
    looked = asked(stand_in, "driver = 1.2\n[gpu]\nname = hang\n", tmp_path, limit_s=0.5)
    assert looked["error"] == "NoAnswer"
    assert time.monotonic() - before < 60


@pytest.mark.parametrize("uuid", ["GPU-../../etc", "GPU-a b", "", "\N{SNOWMAN}"])
def test_a_uuid_that_could_be_a_path_is_none(stand_in: Path, tmp_path: Path, uuid: str) -> None:
    [gpu] = asked(stand_in, f"[gpu]\nuuid = {uuid}\n", tmp_path)["gpus"]
    assert gpu["uuid"] == ""


def test_without_the_library_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: pynvml._nvmlCheckReturn(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    assert inventory.look() == Inventory(problem="NVML Shared Library Not Found", error="LibraryNotFound")


def test_as_data_leaves_out_what_passes() -> None:
    gpu = Gpu(0, "", "x", (7, 5), 1, 1, temperature=40)
    assert "temperature" not in gpu.as_data() and gpu.as_data(state=True)["temperature"] == 40
    assert (gpu.as_data()["capability"], gpu.as_data()["uuid"]) == ("7.5", None)


GARBAGE_NUMBERS = st.sampled_from([0, -1, 1, 2**31, 2**32 - 1, 2**64 - 1]) | st.integers(-(2**70), 2**70)
GARBAGE = (
    st.none() | GARBAGE_NUMBERS | st.text(max_size=20) | st.binary(max_size=20) | st.floats()
    | st.lists(GARBAGE_NUMBERS, max_size=4) | st.tuples(GARBAGE_NUMBERS, GARBAGE_NUMBERS)
    | st.builds(lambda a, b, c: SimpleNamespace(total=a, used=b, free=c, pid=a, usedGpuMemory=b),
                GARBAGE_NUMBERS, GARBAGE_NUMBERS, GARBAGE_NUMBERS)
)  # fmt: skip
RAISED = st.sampled_from([
    *(pynvml.NVMLError(code) for code in (*range(1, 31), 999, 4711)), pynvml.NVMLLibraryMismatchError("x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), AttributeError("x"), ValueError("x"), OverflowError(),
])  # fmt: skip
QUESTIONS = {
    "nvmlInit": None, "nvmlSystemGetDriverVersion": "470.256.02", "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": 1, "nvmlDeviceGetName": "GeForce GTX 1080 Ti", "nvmlDeviceGetUUID": "GPU-a",
    "nvmlDeviceGetPciInfo": SimpleNamespace(domain=0, bus=1, device=0, pciDeviceId=0x1B0610DE),
    "nvmlDeviceGetCudaComputeCapability": (6, 1),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=11 << 30, used=1 << 20, free=(11 << 30) - (1 << 20)),
    "nvmlDeviceGetTemperature": 40, "nvmlDeviceGetTemperatureThreshold": 95, "nvmlDeviceGetComputeMode": 0,
    "nvmlDeviceGetPersistenceMode": 1, "nvmlDeviceGetDisplayActive": 0, "nvmlDeviceGetRetiredPages": [],
    "nvmlDeviceGetRetiredPagesPendingStatus": 0, "nvmlDeviceGetRemappedRows": (0, 0, 0, 0),
    "nvmlDeviceGetComputeRunningProcesses_v3": [], "nvmlDeviceGetGraphicsRunningProcesses_v3": [],
    "nvmlShutdown": None,
}  # fmt: skip
NOT_SUPPORTED, UNKNOWN = pynvml.NVMLError(3), pynvml.NVMLError(999)
DECIDE = [
    *((name, error) for name in ("nvmlInit", "nvmlDeviceGetHandleByIndex") for error in (NOT_SUPPORTED, UNKNOWN)),
    *((name, answer) for name in ("nvmlSystemGetDriverVersion", "nvmlDeviceGetCudaComputeCapability",
                                  "nvmlDeviceGetMemoryInfo")
      for answer in (None, "", b"\xff", 2**70, -1, (0, 0), NOT_SUPPORTED, UNKNOWN)),
    *(("nvmlDeviceGetCount", answer) for answer in (None, "", -1, 0, (0, 0), NOT_SUPPORTED, UNKNOWN)),
]  # fmt: skip


def playing(patch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    """Pynvml's functions give these answers, or raise those that are exceptions."""

    def play(answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    for name, answer in answers.items():
        patch.setattr(pynvml, name, lambda *_, answer=answer: play(answer))


def judged(root: Path) -> dict[str, str]:
    cards = inventory.look(Sysroot(root))
    context = Context(Settings(), toolchains.load("dlc-tf1-cuda10.0"), cards, Sysroot(root))
    json.dumps([gpu.as_data(state=True) for gpu in cards.gpus], allow_nan=False)
    found: dict[str, Any] = {}
    for module in (nvml, capability, health):
        found[module.ID] = check._one(module, context, found)
    assert not [finding for finding in found.values() if finding.summary == "this check broke"], found
    return {name: finding.status for name, finding in found.items()}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gpu.machines import working

    return working(tmp_path_factory.mktemp("host") / "root").root


def test_the_stand_in_s_card_passes(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    playing(monkeypatch, QUESTIONS)
    assert judged(host) == {"nvml": "pass", "capability": "pass", "health": "pass"}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(QUESTIONS)), GARBAGE | RAISED, min_size=1, max_size=6))
def test_whatever_nvml_answers_there_is_a_finding(host: Path, wrong: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        playing(patch, QUESTIONS | wrong)
        judged(host)


@pytest.mark.parametrize(("question", "answer"), DECIDE)
def test_no_pass_without_what_decides(
    host: Path, monkeypatch: pytest.MonkeyPatch, question: str, answer: object
) -> None:
    playing(monkeypatch, QUESTIONS | {question: answer})
    assert set(judged(host).values()) & {"fail", "skip"}


@pytest.mark.parametrize("seed", range(12))
def test_a_corrupted_machine_through_the_bindings(stand_in: Path, tmp_path: Path, seed: int) -> None:
    """Bytes of the machine's text turned over, through real ctypes and the stand-in."""
    rng = random.Random(seed)  # noqa: S311
    text = bytearray((nvml_machines.NVML / "machines/full.txt").read_bytes())
    for _ in range(12):
        text[rng.randrange(len(text))] = rng.randrange(1, 256)
    asked(stand_in, bytes(text), tmp_path, rng.choice([410, 470, 550]))
