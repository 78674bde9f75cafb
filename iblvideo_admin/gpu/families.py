"""NVIDIA's chip families (families.yml): what a card can do, told from its PCI number or its name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

Capability = tuple[int, int]


@dataclass(frozen=True)
class Family:
    """One row: an architecture, or the part of one that drivers and toolkits treat alike.  Ends are None where open."""

    architecture: str
    capability: tuple[Capability, Capability]
    """The oldest and the newest of its cards."""
    first_driver: str | None
    """The first driver branch that knows its cards; None: all that any toolchain here takes."""
    last_driver: str | None
    first_cuda: str | None
    last_cuda: str | None


@dataclass(frozen=True)
class Chip:
    """A chip (``GP102``), or all of a family where its name's beginning says no more (``TU``)."""

    prefix: str
    family: Family
    capability: tuple[Capability, Capability]
    """What its cards have: one value twice, or the family's range."""
    ids: tuple[tuple[int, int], ...]
    """First and last PCI device number of each block."""


@cache
def chips() -> tuple[Chip, ...]:
    """All that the file names."""
    text = Path(__file__).with_name("families.yml").read_text(encoding="utf-8")
    found = []
    for row in yaml.safe_load(text):
        oldest, newest = (_numbers(end) for end in row["capability"])
        branches = (row[key] for key in ("first_driver", "last_driver", "first_cuda", "last_cuda"))
        family = Family(row["architecture"], (oldest, newest), *branches)
        for prefix, about in row["chips"].items():
            one = about.get("capability")
            capability = (_numbers(one), _numbers(one)) if one else family.capability
            blocks = (block.split("-") for block in about.get("ids", ()))
            ids = tuple((int(first, 16), int(last, 16)) for first, last in blocks)
            found.append(Chip(prefix, family, capability, ids))
    return tuple(found)


def chip_of(pci_id: str, name: str | None) -> Chip | None:
    """The chip of a PCI device, by its name in pci.ids ("GP102 [GeForce GTX 1080 Ti]") or else by its number.

    ``pci_id`` is "10de:1b06".  None where neither is known: a card newer than this file, or much older.
    """
    by_name = [chip for chip in chips() if _begins(name or "", chip.prefix)]
    if by_name:
        return max(by_name, key=lambda chip: len(chip.prefix))
    vendor, _, device = pci_id.lower().partition(":")
    if vendor != "10de" or not re.fullmatch("[0-9a-f]{4}", device):
        return None
    number = int(device, 16)
    return next((chip for chip in chips() if any(first <= number <= last for first, last in chip.ids)), None)


def capability_of(pci_id: str, name: str | None) -> tuple[Capability, Capability] | None:
    """Oldest and newest compute capability that such a card can have; None where the card is unknown."""
    chip = chip_of(pci_id, name)
    return chip.capability if chip else None


def family_of(capability: Capability) -> Family | None:
    """The row of a card whose compute capability the driver has told; None for one newer than this file."""
    families = (chip.family for chip in chips())
    return next((row for row in families if row.capability[0] <= capability <= row.capability[1]), None)


def _begins(name: str, prefix: str) -> bool:
    """GP102GL begins with GP102, and with GP; GPU does not begin with GP."""
    rest = name[len(prefix) :]
    return name.startswith(prefix) and (prefix[-1].isdigit() or rest[:1].isdigit())


def _numbers(version: str) -> Capability:
    major, minor = version.split(".")
    return int(major), int(minor)
