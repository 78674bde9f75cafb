"""A card is found by its UUID, whatever CUDA numbers it in this process."""

from __future__ import annotations

import ctypes
import os

import pytest

from iblvideo_admin.engines import cuda_device
from iblvideo_admin.errors import UserError

CARDS = [bytes(range(16)), bytes(range(16, 32))]


def spelled(raw: bytes) -> str:
    text = raw.hex()
    return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Driver:
    """libcuda's three functions, over these cards."""

    def __init__(self, cards: list[bytes], status: int = 0) -> None:
        self.cards, self.status = cards, status

    def cuInit(self, _: int) -> int:  # noqa: N802  the driver's own names
        return self.status

    def cuDeviceGetCount(self, count: object) -> int:  # noqa: N802
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = len(self.cards)
        return 0

    def cuDeviceGetUuid(self, into: object, number: int) -> int:  # noqa: N802
        ctypes.memmove(into, self.cards[number], 16)
        return 0


def test_the_cards_number_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver(CARDS))
    assert [cuda_device.ordinal(spelled(card)) for card in CARDS] == [0, 1]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver(CARDS[1:]))  # as with CUDA_VISIBLE_DEVICES=1
    assert cuda_device.ordinal(spelled(CARDS[1])) == 0
    with pytest.raises(UserError, match="shows this process 1 cards") as raised:
        cuda_device.ordinal(spelled(CARDS[0]))
    assert raised.value.code == "gpu.lost"


def test_a_driver_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver(CARDS, 100))
    with pytest.raises(UserError, match="cuInit gives 100"):
        cuda_device.ordinal(spelled(CARDS[0]))


@pytest.mark.skipif(os.path.lexists("/dev/nvidiactl"), reason="there is a driver here")
def test_no_driver_is_said() -> None:
    with pytest.raises(UserError, match="cannot be loaded") as raised:
        cuda_device.ordinal(spelled(CARDS[0]))
    assert raised.value.code == "gpu.lost"


def test_a_part_of_a_card_is_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver(CARDS[:1]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cuda_device.ordinal("MIG-1") == 0
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-1"
