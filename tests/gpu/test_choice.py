"""Which toolchain suits which cards, with and without a driver to ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from gpu.machines import Machine

from iblvideo_admin import toolchains
from iblvideo_admin.errors import UserError
from iblvideo_admin.gpu import choice
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.gpu.sysroot import Sysroot
from iblvideo_admin.settings import Settings

REFERENCE, NEWER, CPU = "dlc-tf1-cuda10.0", "onnx-cuda12", "onnx-cpu"
TURING = Gpu(0, "GPU-aaaa", "Quadro RTX 8000", (7, 5), 48 << 30, 1 << 30)
HOPPER = Gpu(1, "GPU-bbbb", "H100", (9, 0), 80 << 30, None)
DEAD = Inventory(problem="Driver Not Loaded", error="DriverNotLoaded")
GTX_1080_TI, RTX_4090, K80, UNKNOWN = "10de:1b06", "10de:2684", "10de:102d", "10de:ffff"


def test_which_toolchain_is_recommended() -> None:
    assert choice.recommended((TURING,)) == REFERENCE
    assert choice.recommended((TURING, HOPPER)) == NEWER
    assert choice.recommended((replace(TURING, capability=None),)) == CPU
    assert choice.recommended(()) == CPU


@pytest.mark.parametrize(
    ("cards", "gpus", "expected"),
    [
        ((GTX_1080_TI,), "all", REFERENCE), ((K80, K80), "all", REFERENCE), ((RTX_4090,), "all", NEWER),
        ((GTX_1080_TI, RTX_4090), "all", CPU), ((GTX_1080_TI, RTX_4090), "0", REFERENCE),
        ((GTX_1080_TI, RTX_4090), "1", NEWER), ((GTX_1080_TI,), "none", CPU),
        ((UNKNOWN,), "all", CPU), ((), "all", CPU),
    ],
)  # fmt: skip
@pytest.mark.parametrize("names", [True, False])
def test_before_any_driver_the_bus_decides(
    tmp_path: Path, cards: tuple[str, ...], gpus: str, expected: str, *, names: bool
) -> None:
    machine = Machine(tmp_path / "root")
    for card in cards:
        machine.card(card, driver=None)
    if names:
        machine.pci_ids()
    settings = Settings(gpus=gpus)
    assert choice.recommended_here(settings, DEAD, machine.sysroot) == expected
    silent = Inventory(tuple(Gpu(n, f"GPU-{n}", None, None, None, None) for n in range(max(len(cards), 2))), "470.1")
    assert choice.recommended_here(settings, silent, machine.sysroot) == expected


def test_what_the_driver_says_comes_before_the_bus(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "root").card(RTX_4090)
    assert choice.recommended_here(Settings(), Inventory((TURING,), "470.1"), machine.sysroot) == REFERENCE


def test_a_bus_that_cannot_be_seen(tmp_path: Path) -> None:
    assert choice.recommended_here(Settings(), DEAD, Sysroot(tmp_path)) == CPU


def test_a_driver_that_dies_does_not_move_the_jobs_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBLVIDEO_ADMIN_SYSROOT", str(Machine(tmp_path / "root").card(GTX_1080_TI).root))
    assert choice.resolve(Settings(toolchain="auto"), DEAD).name == REFERENCE
    assert choice.resolve(Settings(toolchain=CPU), DEAD).name == CPU


def test_the_setting_gpus() -> None:
    cards = Inventory((TURING, HOPPER), "580.1")
    assert choice.allowed(Settings(gpus="1"), cards) == (HOPPER,)
    assert choice.allowed(Settings(gpus="none"), cards) == ()
    assert choice.resolve(Settings(gpus="0"), cards).name == REFERENCE
    for wrong in ("first", "7", ""):
        with pytest.raises(UserError) as caught:
            choice.allowed(Settings(gpus=wrong), cards)
        assert caught.value.code == "settings.invalid"


def test_a_driver_that_does_not_answer_is_not_the_setting_s_fault() -> None:
    assert choice.allowed(Settings(gpus="0"), DEAD) == ()


@pytest.mark.parametrize("change", [{"lost": True}, {"uuid": ""}, {"capability": None}, {"capability": (8, 0)}])
def test_no_job_is_put_on_such_a_card(change: dict) -> None:
    reference = toolchains.load(REFERENCE)
    assert choice.unsuitable(reference, (TURING,)) == ()
    wrong = replace(TURING, **change)
    assert choice.unsuitable(reference, (TURING, wrong)) == (wrong,)
