"""Layer 10: memory, other people, wear, heat, modes, environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iblvideo_admin import toolchains
from iblvideo_admin.gpu.checks import health
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.gpu.processes import Process
from iblvideo_admin.settings import Settings

WELL = Gpu(0, "GPU-a", "GTX 1080 Ti", (6, 1), 11 << 30, 1 << 20, memory_free=(11 << 30) - (1 << 20), temperature=40,
           temperature_limit=95, compute_mode="default", persistence=True, display=False, retired_pages=0,
           repair_pending=False, processes=())  # fmt: skip
ALICE = Process(4321, 9 << 30, "alice", "python")
OURS = Process(99, 9 << 30, "iblvideo", "python3.7", ours=True)
SCREEN = Process(7, 1 << 28, "root", "Xorg", graphics=True)
USUAL = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0,1", "TF_CPP_MIN_LOG_LEVEL": "0", "CUDA_CACHE_DISABLE": "0",
         "NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
         "TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.os, "environ", dict(USUAL))


def judged(*cards: Gpu) -> Finding:
    return health.check(
        Context(Settings(), toolchains.load("dlc-tf1-cuda10.0"), Inventory(cards or (WELL,), "470.256.02"))
    )


def test_a_card_that_is_well() -> None:
    assert judged().status == "pass"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"memory_free": 1 << 30, "processes": (ALICE, SCREEN)}, "fail", "has 1024 MiB of 11264 MiB free"),
        ({"memory_free": 3 << 30}, "warn", "tracking needs 4096 MiB"),
        ({"memory_free": 1 << 30, "processes": None}, "fail", "1024 MiB"),
        ({"memory_free": 1 << 30, "processes": (OURS,)}, "pass", "memory free"),
        ({"memory_total": 1 << 30, "memory_free": 1 << 30}, "fail", "too small"),
        ({"memory_free": None}, "skip", "does not report its memory"),
        ({"processes": (ALICE,)}, "warn", "python 4321 of alice (9216 MiB)"),
        ({"processes": (SCREEN,), "display": True}, "pass", ""),
        ({"processes": (OURS,)}, "pass", ""),
        ({"processes": (Process(5, None, None, None),)}, "warn", "process 5 of an unknown user (N/A)"),
        ({"compute_mode": "prohibited"}, "fail", "prohibited"),
        ({"compute_mode": "exclusive_process"}, "warn", "one program at a time"),
        ({"compute_mode": "exclusive_process", "processes": (ALICE,)}, "fail", "exclusive_process"),
        ({"compute_mode": "exclusive_process", "processes": (OURS,)}, "warn", "exclusive_process"),
        ({"compute_mode": None}, "pass", ""),
        ({"repair_pending": True}, "warn", "next reset"),
        ({"repair_failed": True}, "fail", "worn out"),
        ({"retired_pages": 60}, "fail", "worn out"),
        ({"retired_pages": 59}, "pass", ""),
        ({"temperature": 95}, "warn", "at 95 °C"),
        ({"temperature": 94}, "pass", ""),
        ({"temperature": 96, "temperature_limit": None}, "warn", "96 °C"),
        ({"temperature": None}, "pass", ""),
    ],
)
def test_what_is_wrong_with_a_card(change: dict[str, Any], status: str, words: str) -> None:
    found = judged(replace(WELL, **change))
    assert found.status == status and words in found.summary
    assert found.remedy if status != "pass" else True


def test_who_is_asked_to_leave() -> None:
    found = judged(replace(WELL, memory_free=1 << 20, processes=(ALICE, SCREEN)))
    assert "python 4321 of alice (9216 MiB)" in found.evidence and "Xorg 7 of root" in found.evidence
    assert found.remedy.startswith("Ask alice to end it (`kill 4321`)")


def test_what_is_not_reported_is_not_a_number() -> None:
    bare = Gpu(0, "GPU-a", None, (6, 1), 11 << 30, 1, memory_free=10 << 30)
    found = judged(bare)
    assert found.status == "pass" and "N/A °C, compute mode N/A, processes N/A" in found.evidence


def test_persistence_is_a_note() -> None:
    found = judged(replace(WELL, persistence=False))
    assert found.status == "pass" and "nvidia-smi -pm 1" in found.evidence
    assert "nvidia-smi -pm 1" not in judged(replace(WELL, persistence=False, display=True)).evidence


def test_the_worst_card_is_named_first() -> None:
    found = judged(replace(WELL, temperature=99), replace(WELL, index=1, compute_mode="prohibited"))
    assert found.status == "fail" and "GPU 1" in found.summary and "GPU 0" in found.evidence


@pytest.mark.parametrize(
    ("name", "odd", "fine"),
    [
        ("CUDA_VISIBLE_DEVICES", ["", "-1", "none", "0,0", "GPU-a,1,GPU-a"], ["0", "0,1", "10,0", "GPU-a", "1,11"]),
        ("NVIDIA_VISIBLE_DEVICES", ["void", "none", ""], ["all", "0"]),
        ("NVIDIA_DRIVER_CAPABILITIES", ["graphics", ""], ["all", "compute,utility", "utility,compute"]),
        ("CUDA_FORCE_PTX_JIT", ["1"], ["0", ""]),
        ("CUDA_DISABLE_PTX_JIT", ["1"], ["0"]),
        ("CUDA_CACHE_DISABLE", ["1"], ["0", ""]),
        ("CUDA_LAUNCH_BLOCKING", ["1"], ["0"]),
        ("TF_FORCE_GPU_ALLOW_GROWTH", ["false", "False", "0"], ["true", "1"]),
        ("TF_CPP_MIN_LOG_LEVEL", ["1", "3"], ["0"]),
        ("TF_USE_CUDNN", ["0"], ["1"]),
        ("LD_PRELOAD", ["/usr/lib/libtcmalloc.so"], [""]),
    ],
)
def test_odd_variables(name: str, odd: list[str], fine: list[str]) -> None:
    for value in odd:
        health.os.environ[name] = value
        found = judged()
        assert found.status == "warn" and f"{name}={value}" in found.summary and found.remedy, value
    for value in fine:
        health.os.environ[name] = value
        assert judged().status == "pass", value


def test_every_odd_variable_is_tried() -> None:
    [tried] = [mark.args[1] for mark in test_odd_variables.pytestmark]
    assert {name for name, _, _ in tried} == {row[0] for row in health._odd_variables()}
