"""Chip families: told from names and from PCI numbers, which must agree."""

from __future__ import annotations

import itertools
import re

import pytest
from gpu.machines import PCI_IDS

from iblvideo_admin.gpu import families


@pytest.mark.parametrize(
    ("pci_id", "name", "architecture", "capability", "last_driver"),
    [
        ("10de:102d", "GK210GL [Tesla K80]", "Kepler", (3, 7), "470"),
        ("10de:1180", "GK104 [GeForce GTX 680]", "Kepler", (3, 0), "470"),
        ("10de:13c2", "GM204 [GeForce GTX 970]", "Maxwell", (5, 2), "580"),
        ("10de:1b06", "GP102 [GeForce GTX 1080 Ti]", "Pascal", (6, 1), "580"),
        ("10de:1db4", "GV100GL [Tesla V100 PCIe 16GB]", "Volta", (7, 0), "580"),
        ("10de:1e04", "TU102 [GeForce RTX 2080 Ti]", "Turing", (7, 5), None),
        ("10de:20b0", "GA100 [A100 SXM4 40GB]", "Ampere", (8, 0), None),
        ("10de:2204", "GA102 [GeForce RTX 3090]", "Ampere", (8, 6), None),
        ("10de:2684", "AD102 [GeForce RTX 4090]", "Ada", (8, 9), None),
        ("10de:2330", "GH100 [H100 SXM5 80GB]", "Hopper", (9, 0), None),
        ("10de:2b85", "GB202 [GeForce RTX 5090]", "Blackwell", (12, 0), None),
    ],
)
def test_known_cards(
    pci_id: str, name: str, architecture: str, capability: tuple[int, int], last_driver: str | None
) -> None:
    for named in (name, None):  # a host without pci.ids is as good
        chip = families.chip_of(pci_id, named)
        assert chip is not None
        assert (chip.family.architecture, chip.family.last_driver) == (architecture, last_driver)
        assert families.capability_of(pci_id, named) == (capability, capability)
    row = families.family_of(capability)
    assert row is not None and row == chip.family


@pytest.mark.parametrize(
    ("pci_id", "name"),
    [
        ("10de:ffff", None), ("10de:ffff", "GPU of tomorrow"), ("10de:3000", "GR100 [Reserved Dev ID A]"), ("", ""),
        ("8086:1b06", None), ("10de:10c3", "GT218 [GeForce 8400 GS Rev. 3]"), ("10de", None), ("10de:zzzz", "G"),
    ],
)  # fmt: skip
def test_an_unknown_card_is_unknown(pci_id: str, name: str | None) -> None:
    assert families.chip_of(pci_id, name) is None
    assert families.capability_of(pci_id, name) is None


def test_a_new_chip_of_a_known_family_has_the_familys_range() -> None:
    assert families.capability_of("10de:ffff", "GB999 [GeForce RTX 6090]") == ((10, 0), (12, 1))
    assert families.capability_of("10de:1e04", "something else") == ((7, 5), (7, 5))  # by its number


def test_capabilities_beyond_the_table() -> None:
    assert families.family_of((13, 0)) is None and families.family_of((1, 3)) is None


def test_blocks_of_numbers_do_not_overlap_and_names_are_once() -> None:
    blocks = sorted(block for chip in families.chips() for block in chip.ids)
    assert all(first <= last for first, last in blocks)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(blocks))
    names = [chip.prefix for chip in families.chips()]
    assert len(names) == len(set(names))


def test_every_chips_capability_is_in_its_familys_range() -> None:
    for chip in families.chips():
        (oldest, newest), (first, last) = chip.family.capability, chip.capability
        assert oldest <= first <= last <= newest, chip.prefix


def test_numbers_and_names_agree() -> None:
    own = PCI_IDS.partition("10de  ")[2].partition("\n8086")[0]
    lines = re.findall(r"^\t([0-9a-f]{4})  (.*)$", own, re.MULTILINE)
    assert len(lines) >= 10
    for device, name in lines:
        assert families.chip_of(f"10de:{device}", name) == families.chip_of(f"10de:{device}", None)
