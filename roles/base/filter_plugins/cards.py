"""Filters that judge a host's graphics cards, on the machine that runs Ansible.

They ask the same tables as the command line (iblvideo_admin/gpu/families.yml, iblvideo_admin/toolchains): what a server is
given and what check-gpu thinks of it cannot differ.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import families, reach

Card = dict[str, str]
Kind = dict[str, Any]
OPEN_FROM = (7, 5)  # NVIDIA's open kernel modules know Turing and newer only
# What tells a driver's version: the modules' source, libcuda and NVML, and the packages that lead to them.
DRIVER = (
    r"libcuda1|libnvidia-(tesla-\d+-)?(cuda|ml)1|nvidia-(tesla-\d+-)?(driver|kernel-dkms)|nvidia-open-kernel-dkms"
    r"|(libnvidia-compute|nvidia-(driver|dkms|headless|headless-no-dkms|kernel-source|open))(-\d+)?(-server)?(-open)?"
)


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
            "driver_names": driver_names,
            "driver_refused": driver_refused,
            "kernel_names": kernel_names,
            "kernel_headers": kernel_headers,
            "apt_candidates": candidates,
            "apt_missing": missing,
        }


def cards_in_use(cards: list[Card], gpus: object = "") -> list[Card]:
    """Those that the setting `gpus` leaves to us: all, none, or their numbers in the order of the bus."""
    wanted = str(gpus if gpus != "" else "all").strip()
    if wanted in ("all", "none"):
        return cards if wanted == "all" else []
    numbers = {int(part) for part in wanted.split(",") if part.strip().isdigit()}
    return [card for number, card in enumerate(cards) if number in numbers]


def toolchain_for_cards(cards: list[Card]) -> str:
    """What `toolchain: auto` means for these cards."""
    return reach.toolchain_for(chip.capability if (chip := _chip(card)) else None for card in cards)


def cards_not_served(cards: list[Card], toolchain: str) -> list[str]:
    """A few words on each card that the toolchain cannot use."""
    wanted = _toolchain(toolchain)
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
    policy: str, kinds: list[Kind], cards: list[Card], toolchain: str, branch: str = "auto", all_cards: list[Card] = ()
) -> dict[str, Any]:
    """What is to be installed: {name, version, branch, packages}; {} where none suits.

    `policy` is what `apt-cache policy` prints; `kinds` are the packages that bring a driver, the preferred first (see
    roles/nvidia_driver/vars). One that is installed already and suits stays. Otherwise the newest branch that suits wins,
    unless one is wanted; where there is a choice, one that knows those of `all_cards`, too, that are not ours to use.
    """
    allowed, found = _branches(cards, toolchain), []
    others = [_branches([card], toolchain) for card in all_cards]
    for name, (installed, candidate) in _policy(policy).items():
        for version, there in ((installed, True), (candidate, False)):
            upstream = re.sub(r"^\d+:", "", version)
            has = re.match(r"\d*", upstream)[0]
            rank, packages = _kind(name, has, kinds)
            if has and packages and allowed.holds(upstream) and branch in ("auto", has):
                known = sum(other.holds(upstream) for other in others)
                about = {"name": name, "version": version, "branch": has}
                about["packages"] = [f"{name}={version}", *packages[1:]]
                found.append(((there, known, int(has), -rank), about))
    return max(found, key=lambda item: item[0])[1] if found else {}


def driver_names(kinds: list[Kind]) -> list[str]:
    """Patterns of all packages that `driver_package` asks for."""
    return [re.sub(r"\\1", r"\\d+", name) for kind in kinds for name in (kind["name"], *kind.get("with", ()))]


def driver_refused(simulation: str, cards: list[Card], toolchain: str) -> list[str]:
    """What `apt-get --simulate` would bring that cannot drive the cards: "name version" of each part of a driver.

    A name alone says little: packages lead to those of another branch, and `>=` lets a newer one in.
    """
    allowed = _branches(cards, toolchain)
    old = [chip for card in cards if (chip := _chip(card)) and chip.capability[0] < OPEN_FROM]
    return [
        f"{name} {version}"
        for name, version in re.findall(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+) ", simulation, re.MULTILINE)
        if re.fullmatch(DRIVER, name.partition(":")[0])
        and (not allowed.holds(re.sub(r"^\d+:", "", version)) or ("-open" in name and old))
    ]


def kernel_names(release: str) -> str:
    """A pattern of the packages that `kernel_headers` asks for: what leads from one kernel of this flavour to the next."""
    # "virtual" is a kernel of Ubuntu that calls itself generic
    names = [_flavour(release), *(["virtual"] if _flavour(release) == "generic" else [])]
    return rf"linux-(?:image|headers)-(?:{'|'.join(map(re.escape, names))})(?:-\S+)?"


def kernel_headers(policy: str, release: str) -> list[str]:
    """Packages that bring the headers of every later kernel of the running one's flavour; none where no repository has them.

    They follow the package that brings the kernels (linux-image-generic-hwe-22.04: linux-headers-generic-hwe-22.04), also
    where that one is taken from elsewhere, as from backports.
    """
    known = {name: about for name, about in _policy(policy).items() if re.fullmatch(kernel_names(release), name)}
    images = [name for name, (installed, _) in known.items() if installed and name.startswith("linux-image-")]
    wanted = []
    for image in images or [f"linux-image-{_flavour(release)}"]:
        headers = image.replace("image", "headers", 1)
        (installed, candidate), kernel = known.get(headers, ("", "")), known.get(image, ("", ""))[1]
        if not installed and kernel != candidate and kernel in _offered(policy, headers):
            wanted.append(f"{headers}={kernel}")
        elif candidate:
            wanted.append(headers)
    return wanted


def candidates(policy: str) -> dict[str, str]:
    """Package -> the version that apt would install, from what `apt-cache policy` prints."""
    return {name: candidate for name, (_, candidate) in _policy(policy).items() if candidate}


def missing(packages: list[str], policy: str) -> list[str]:
    """Those of `packages` (name, or name=version) that are not installed."""
    there = {name: installed for name, (installed, _) in _policy(policy).items()}
    split = ((package, *package.partition("=")[::2]) for package in packages)
    return [package for package, name, version in split if not there.get(name) or version not in ("", there[name])]


def _policy(policy: str) -> dict[str, tuple[str, str]]:
    """Package -> its version that is installed, and the one that would be; empty where there is none."""
    found = re.findall(r"^(\S+):\n  Installed: (\S+)\n  Candidate: (\S+)$", policy, re.MULTILINE)
    return {name: tuple("" if version == "(none)" else version for version in versions) for name, *versions in found}


def _offered(policy: str, name: str) -> list[str]:
    """All versions of a package that a repository of the host has."""
    part = re.search(rf"^{re.escape(name)}:\n(?: .*\n?)*", policy, re.MULTILINE)
    return re.findall(r"^ (?:\*\*\*|   ) (\S+) ", part[0] if part else "", re.MULTILINE)


def _flavour(release: str) -> str:
    """6.1.0-25-cloud-amd64: cloud-amd64; 6.12.9+bpo-amd64: amd64; 6.8.0-40-generic: generic."""
    return re.sub(r"^\d[^-]*(?:-\d[^-]*)?-", "", release)


def _kind(name: str, branch: str, kinds: list[Kind]) -> tuple[int, list[str]]:
    """Which kind of driver package this is, and what belongs to it; nothing for a name that only leads to another branch."""
    for rank, kind in enumerate(kinds):
        if match := re.fullmatch(kind["name"], name):
            if match.groups() and match[1] != branch:  # Ubuntu's nvidia-driver-460 is 470: it goes along with the newer
                return rank, []
            return rank, [name, *(match.expand(other) for other in kind.get("with", ()))]
    return 0, []


@cache
def _toolchain(name: str) -> toolchains.Toolchain:
    return toolchains.load(name)


def _branches(cards: list[Card], toolchain: str) -> reach.Branches:
    chips = [chip for card in cards if (chip := _chip(card))]
    return reach.branches(chips, _toolchain(toolchain))


def _chip(card: Card) -> families.Chip | None:
    return families.chip_of(card["id"], card["name"] or None)


def _described(card: Card) -> str:
    chip, name = _chip(card), f"{card['address']} {card['name'] or card['id']}"
    if chip is None:
        return f"{name} (unknown here: newer than this release, or very old)"
    ends = sorted({reach.dotted(end) for end in chip.capability})
    return f"{name} ({chip.family.architecture}, compute capability {' to '.join(ends)})"
