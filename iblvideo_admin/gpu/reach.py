"""Which toolchain and which driver serve cards, told from what the PCI bus says of them.

The Ansible roles ask here, too (roles/base/filter_plugins), before a host has a driver: so nothing but the standard
library and the tables of families and toolchains is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from iblvideo_admin import toolchains
from iblvideo_admin.gpu.families import Capability, Chip
from iblvideo_admin.toolchains import Toolchain

ON_GPU, WITHOUT_GPU = ("dlc-tf1-cuda10.0", "onnx-cuda12"), "onnx-cpu"  # the reference first


@dataclass(frozen=True)
class Branches:
    """The driver branches that know all of some cards and serve a toolchain; ``last`` is None where there is no end."""

    first: tuple[int, ...]
    first_because: str
    last: int | None
    last_because: str

    def holds(self, version: str) -> bool:
        """Whether a driver ("470.256.02-1") or a branch ("470") is among them; what begins with no number is not."""
        if not (match := re.match(r"\d+(\.\d+)*", version)):
            return False
        numbers = tuple(int(part) for part in match[0].split("."))
        whole = numbers if len(numbers) > 1 else (*numbers, 10**6)  # a branch: its newest driver
        return whole >= self.first and (self.last is None or numbers[0] <= self.last)


def toolchain_for(ranges: Iterable[tuple[Capability, Capability] | None]) -> str:
    """The first that each card can run, the reference before all; else the one without a GPU.

    ``ranges`` are the oldest and newest compute capability that each card can have; None: not known.
    """
    cards = list(ranges)
    for name in ON_GPU if cards else ():
        toolchain = toolchains.load(name)
        if all(card is not None and all(toolchain.serves(dotted(end)) for end in card) for card in cards):
            return name
    return WITHOUT_GPU


def serves(toolchain: Toolchain, chip: Chip | None) -> bool:
    """Whether a card with this chip can work with the toolchain; not where the chip is unknown."""
    return chip is not None and all(toolchain.serves(dotted(end)) for end in chip.capability)


def branches(chips: Iterable[Chip], toolchain: Toolchain) -> Branches:
    """Where a driver must lie to serve these cards and the toolchain (NVIDIA's matrix of drivers and architectures)."""
    first = tuple(int(part) for part in (toolchain.driver_min or "0").split("."))
    wants = f"needs driver {toolchain.driver_min}" if toolchain.driver_min else "takes any driver"
    first_because = f"toolchain {toolchain.name} {wants}"
    last, last_because = None, ""
    for chip in chips:
        family = chip.family
        if family.first_driver and (int(family.first_driver),) > first:
            first, first_because = (int(family.first_driver),), f"{family.architecture} cards need it"
        if family.last_driver and (last is None or int(family.last_driver) < last):
            last, last_because = int(family.last_driver), f"it is the last branch that knows {family.architecture}"
    return Branches(first, first_because, last, last_because)


def dotted(capability: Capability) -> str:
    """As NVIDIA writes it: (7, 5) is "7.5"."""
    return f"{capability[0]}.{capability[1]}"
