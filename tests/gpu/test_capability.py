"""Layer 8: cards and driver against the toolchain, and against each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iblvideo_admin import toolchains
from iblvideo_admin.gpu.checks import capability
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Gpu, Inventory
from iblvideo_admin.settings import Settings

TURING = Gpu(0, "GPU-aaaa", "Quadro RTX 8000", (7, 5), 48 << 30, 1 << 30)
PASCAL = replace(TURING, name="GTX 1080 Ti", capability=(6, 1))
KEPLER = replace(TURING, name="Tesla K80", capability=(3, 7))
HOPPER = Gpu(1, "GPU-bbbb", "H100", (9, 0), 80 << 30, None)
SILENT = replace(TURING, capability=None)


def judged(cards: tuple[Gpu, ...], driver: str | None, **settings: str) -> Finding:
    context = Context(Settings(**settings), toolchains.load("dlc-tf1-cuda10.0"), Inventory(cards, driver))
    return capability.check(context)


@pytest.mark.parametrize(
    ("cards", "driver", "status"),
    [
        ((TURING,), "470.256.02", "pass"), ((TURING,), "410.48", "pass"), ((TURING,), "580.95.05", "pass"),
        ((TURING,), "590.48.01", "pass"), ((TURING,), "410.47", "fail"), ((TURING,), "396.26", "fail"),
        ((PASCAL,), "580.95.05", "pass"), ((PASCAL,), "581.15", "fail"),
        ((KEPLER,), "470.256.02", "pass"), ((KEPLER,), "495.29.05", "fail"), ((KEPLER,), "535.183.01", "fail"),
        ((TURING, HOPPER), "580.1", "fail"), ((HOPPER,), "450.80.02", "fail"),
        ((replace(TURING, capability=(3, 0)),), "470.1", "fail"),
        ((replace(TURING, capability=(8, 0)),), "470.1", "fail"),
        ((SILENT,), "580.1", "skip"), ((TURING, SILENT), "580.1", "skip"), ((HOPPER, SILENT), "580.1", "fail"),
        ((TURING,), None, "skip"), ((TURING,), "N/A", "skip"), ((TURING,), "470", "skip"), ((), "470.1", "skip"),
    ],
)  # fmt: skip
def test_cards_and_driver(cards: tuple[Gpu, ...], driver: str | None, status: str) -> None:
    assert judged(cards, driver).status == status


def test_a_driver_past_a_card_s_branch_names_the_branch() -> None:
    found = judged((KEPLER,), "535.183.01")
    assert "past R470, the last branch for GPU 0 Tesla K80 (3.7)" in found.summary
    assert "apt-get install nvidia-driver-470" in found.remedy


def test_the_cards_that_are_not_served_are_named_and_the_others_offered() -> None:
    found = judged((TURING, HOPPER), "550.1.1")
    assert "GPU 1 H100 (9.0)" in found.summary and "RTX 8000" not in found.summary
    assert found.remedy == 'Set gpus = "0" or toolchain = "onnx-cuda12" in the settings.'
    assert judged((TURING, HOPPER), "550.1.1", gpus="0").status == "pass"


def test_the_last_branch_is_told_while_it_still_serves() -> None:
    assert "R580 is the last driver branch for Pascal" in judged((PASCAL,), "580.95.05").evidence


def test_a_card_newer_than_our_table() -> None:
    assert judged((replace(TURING, capability=(17, 0)),), "999.1.1").status == "fail"
