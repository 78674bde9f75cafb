"""Filters that judge a host's graphics cards, on the machine that runs Ansible.

They ask the same tables as the command line (iblvideo_admin/gpu/families.yml, iblvideo_admin/toolchains): what a server is
given and what check-gpu thinks of it cannot differ.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import families, reach

Card = dict[str, str]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "cards_in_use": cards_in_use,
            "toolchain_for_cards": toolchain_for_cards,
            "cards_not_served": cards_not_served,
            "driver_branches": driver_branches,
            "driver_suits": driver_suits,
            "driver_package": driver_package,
            "apt_candidates": candidates,
        }


def cards_in_use(cards: list[Card], gpus: object = "") -> list[Card]:
    """Those that the setting `gpus` leaves to us: all, none, or their numbers in the order of the bus."""
    wanted = str(gpus if gpus != "" else "all").strip()
    if wanted in ("all", "none"):
        return cards if wanted == "all" else []
    numbers = {int(part) for part in wanted.split(",")}
    return [card for number, card in enumerate(cards) if number in numbers]


def toolchain_for_cards(cards: list[Card]) -> str:
    """What `toolchain: auto` means for these cards."""
    return reach.toolchain_for(chip.capability if (chip := _chip(card)) else None for card in cards)


def cards_not_served(cards: list[Card], toolchain: str) -> list[str]:
    """A few words on each card that the toolchain cannot use."""
    wanted = toolchains.load(toolchain)
    return [_described(card) for card in cards if wanted.needs_gpu and not reach.serves(wanted, _chip(card))]


def driver_branches(cards: list[Card], toolchain: str) -> dict[str, Any]:
    """From where to where the driver may be, and why: first, last (0: no end), because."""
    found = _branches(cards, toolchain)
    said = [f"{found.first_because}, so it must be {'.'.join(map(str, found.first))} or later"]
    if found.last:
        said.append(f"it must not be later than {found.last}, because {found.last_because}")
    return {"first": ".".join(map(str, found.first)), "last": found.last or 0, "because": "; ".join(said)}


def driver_suits(version: str, cards: list[Card], toolchain: str) -> bool:
    """Whether this driver, or branch, serves the cards and the toolchain."""
    return _branches(cards, toolchain).holds(version)


def driver_package(
    policy: str, names: list[str], cards: list[Card], toolchain: str, branch: str = "auto"
) -> dict[str, str]:
    """The package to be installed: {name, version, branch}; {} where none suits.

    `policy` is what `apt-cache policy` prints; `names` are patterns of package names, the preferred first, whose group (if
    any) is the branch: without one, the version's beginning is. The newest branch that suits wins, unless one is wanted.
    """
    allowed = _branches(cards, toolchain)
    found = []
    for name, version in candidates(policy).items():
        for rank, pattern in enumerate(names):
            if match := re.fullmatch(pattern, name):
                has = match[1] if match.groups() else re.sub(r"^\d+:", "", version).split(".")[0]
                if allowed.holds(has) and branch in ("auto", has):
                    found.append((int(has), -rank, {"name": name, "version": version, "branch": has}))
                break
    return max(found, key=lambda item: item[:2])[2] if found else {}


def candidates(policy: str) -> dict[str, str]:
    """Package -> the version that apt would install, from what `apt-cache policy` prints."""
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", policy, re.MULTILINE)
    return {name: version for name, version in found if version != "(none)"}


def _branches(cards: list[Card], toolchain: str) -> reach.Branches:
    chips = [chip for card in cards if (chip := _chip(card))]
    return reach.branches(chips, toolchains.load(toolchain))


def _chip(card: Card) -> families.Chip | None:
    return families.chip_of(card["id"], card["name"] or None)


def _described(card: Card) -> str:
    chip, name = _chip(card), f"{card['address']} {card['name'] or card['id']}"
    if chip is None:
        return f"{name} (unknown here: newer than this release, or very old)"
    ends = sorted({reach.dotted(end) for end in chip.capability})
    return f"{name} ({chip.family.architecture}, compute capability {' to '.join(ends)})"
