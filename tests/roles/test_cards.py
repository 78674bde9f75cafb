"""What cards on the bus mean for toolchain and driver, and what package managers are made to do for them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
TF1, NEWER, CPU = "dlc-tf1-cuda10.0", "onnx-cuda12", "onnx-cpu"
KINDS = yaml.safe_load((ROOT / "roles/nvidia_driver/vars/main.yml").read_text())["_nvidia_driver_by_distribution"]
NAMES = {
    "10de:102d": "GK210GL [Tesla K80]",
    "10de:1b06": "GP102 [GeForce GTX 1080 Ti]",
    "10de:1e04": "TU102 [GeForce RTX 2080 Ti]",
    "10de:2204": "GA102 [GeForce RTX 3090]",
    "10de:2684": "AD102 [GeForce RTX 4090]",
    "10de:ffff": "",
}


def card(number: str, bus: int = 1) -> dict[str, str]:
    return {"address": f"0000:{bus:02x}:00.0", "id": number, "name": NAMES[number]}


KEPLER, PASCAL, TURING, AMPERE, ADA, UNKNOWN = (card(number, bus) for bus, number in enumerate(NAMES, 1))


# As `apt-cache policy` prints them.
def table(
    name: str, candidate: str, installed: str = "(none)", origin: str = "http://archive.example/ubuntu jammy"
) -> str:
    mark = "***" if installed == candidate else "   "
    return (
        f"{name}:\n  Installed: {installed}\n  Candidate: {candidate}\n  Version table:\n"
        f" {mark} {candidate} 500 (phased 20%)\n        500 {origin}-updates/restricted amd64 Packages\n"
        + ("        100 /var/lib/dpkg/status\n" if installed == candidate else "")
    )


# Ubuntu keeps the names of branches that ended: they lead to the next.
JAMMY = "".join(
    table(name, version)
    for name, version in {
        "nvidia-driver-418-server": "418.226.00-0ubuntu5~0.22.04.1",
        "nvidia-driver-450-server": "450.248.02-0ubuntu0.22.04.1",
        "nvidia-driver-460": "470.256.02-0ubuntu0.22.04.1",
        "nvidia-driver-470": "470.256.02-0ubuntu0.22.04.1",
        "nvidia-driver-470-server": "470.256.02-0ubuntu0.22.04.1",
        "nvidia-driver-525": "535.183.01-0ubuntu0.22.04.1",
        "nvidia-driver-535": "535.183.01-0ubuntu0.22.04.1",
        "nvidia-driver-535-open": "535.183.01-0ubuntu0.22.04.1",
        "nvidia-driver-535-server": "535.216.01-0ubuntu0.22.04.1",
    }.items()
)
NOBLE = "".join(
    table(name, version, origin="http://archive.example/ubuntu noble")
    for name, version in {
        "nvidia-driver-390": "(none)",
        "nvidia-driver-470": "470.256.02-0ubuntu0.24.04.1",
        "nvidia-driver-575": "580.95.05-0ubuntu0.24.04.2",
        "nvidia-driver-580": "580.95.05-0ubuntu0.24.04.2",
        "nvidia-driver-590": "590.44.01-0ubuntu0.24.04.1",
        "nvidia-driver-590-server": "590.44.01-0ubuntu0.24.04.1",
    }.items()
)
BOOKWORM = """\
nvidia-driver:
  Installed: (none)
  Candidate: 535.309.01-0+deb12u1
  Version table:
     535.309.01-0+deb12u1 500
        500 http://security.example/debian-security bookworm-security/non-free amd64 Packages
     535.261.03-1 500
        500 http://archive.example/debian bookworm/non-free amd64 Packages
nvidia-tesla-470-driver:
  Installed: (none)
  Candidate: 470.256.02-1~deb12u1
  Version table:
     470.256.02-1~deb12u1 500
        500 http://archive.example/debian bookworm/non-free amd64 Packages
nvidia-tesla-535-driver:
  Installed: (none)
  Candidate: 535.216.03-3~deb12u1
  Version table:
     535.216.03-3~deb12u1 500
        500 http://archive.example/debian bookworm/non-free amd64 Packages
linux-headers-6.1.0-25-amd64:
  Installed: (none)
  Candidate: 6.1.106-3
  Version table:
     6.1.106-3 500
        500 http://archive.example/debian bookworm/main amd64 Packages
"""


@pytest.mark.parametrize(
    ("gpus", "wanted"),
    [("", "012"), ("all", "012"), ("none", ""), (0, "0"), ("0, 2", "02"), ("2,0", "02"), ("7", ""), ("one", "")],
)
def test_cards_in_use(cards: ModuleType, gpus: object, wanted: str) -> None:
    there = [KEPLER, PASCAL, TURING]
    assert cards.cards_in_use(there, gpus) == [there[int(number)] for number in wanted]


@pytest.mark.parametrize(
    ("there", "toolchain"),
    [
        ([], CPU),
        ([PASCAL], TF1),
        ([KEPLER, PASCAL, TURING], TF1),
        ([PASCAL, AMPERE], CPU),
        ([ADA], NEWER),
        ([UNKNOWN], CPU),
    ],
)
def test_the_toolchain_for_cards(cards: ModuleType, there: list[dict[str, str]], toolchain: str) -> None:
    assert cards.toolchain_for_cards(there) == toolchain


def test_cards_that_are_not_served_are_described(cards: ModuleType) -> None:
    assert cards.cards_not_served([KEPLER, PASCAL, AMPERE, UNKNOWN], TF1) == [
        "0000:04:00.0 GA102 [GeForce RTX 3090] (Ampere, compute capability 8.6)",
        "0000:06:00.0 10de:ffff (unknown here: newer than this release, or very old)",
    ]
    assert cards.cards_not_served([AMPERE, UNKNOWN], CPU) == []
    nameless = {**AMPERE, "name": ""}
    assert cards.cards_not_served([nameless], TF1) == ["0000:04:00.0 10de:2204 (Ampere, compute capability 8.6)"]


def test_branches_and_their_reasons(cards: ModuleType) -> None:
    assert cards.driver_branches([PASCAL, KEPLER], TF1) == {
        "first": "410.48",
        "last": 470,
        "because": "toolchain dlc-tf1-cuda10.0 needs driver 410.48, so it must be 410.48 or later; "
        "it must not be later than 470, because it is the last branch that knows Kepler",
    }
    assert cards.driver_branches([TURING], TF1)["last"] == 0
    assert cards.driver_suits("580.95.05", [PASCAL], TF1) and not cards.driver_suits("590.44.01", [PASCAL], TF1)
    assert not cards.driver_suits("latest", [TURING], TF1)


@pytest.mark.parametrize(
    ("distribution", "policy", "there", "branch", "wanted"),
    [
        ("Ubuntu", JAMMY, [KEPLER], "auto", "nvidia-driver-470-server=470.256.02-0ubuntu0.22.04.1"),
        ("Ubuntu", JAMMY, [PASCAL], "auto", "nvidia-driver-535-server=535.216.01-0ubuntu0.22.04.1"),
        ("Ubuntu", JAMMY, [PASCAL], "450", "nvidia-driver-450-server=450.248.02-0ubuntu0.22.04.1"),
        ("Ubuntu", JAMMY, [PASCAL], "525", ""),
        ("Ubuntu", JAMMY, [PASCAL], "460", ""),
        ("Ubuntu", NOBLE, [KEPLER], "auto", "nvidia-driver-470=470.256.02-0ubuntu0.24.04.1"),
        ("Ubuntu", NOBLE, [PASCAL], "auto", "nvidia-driver-580=580.95.05-0ubuntu0.24.04.2"),
        ("Ubuntu", NOBLE, [PASCAL], "590", ""),
        ("Ubuntu", NOBLE, [TURING], "auto", "nvidia-driver-590-server=590.44.01-0ubuntu0.24.04.1"),
        ("Debian", BOOKWORM, [PASCAL], "auto", "nvidia-driver=535.309.01-0+deb12u1"),
        ("Debian", BOOKWORM, [KEPLER], "auto", "nvidia-tesla-470-driver=470.256.02-1~deb12u1"),
        ("Debian", "", [PASCAL], "auto", ""),
        ("Debian", "N: Unable to locate package nvidia-driver\n", [PASCAL], "auto", ""),
    ],
)
def test_the_package(
    cards: ModuleType, distribution: str, policy: str, there: list[dict[str, str]], branch: str, wanted: str
) -> None:
    found = cards.driver_package(policy, KINDS[distribution], there, TF1, branch)
    assert found.get("packages", [""])[0] == wanted


def test_a_name_that_leads_to_a_branch_too_new_is_no_way(cards: ModuleType) -> None:
    """As when nvidia-driver-580 will have become 590: a Pascal card would be gone."""
    policy = table("nvidia-driver-580", "590.44.01-0ubuntu0.24.04.1") + table(
        "nvidia-driver-550", "550.163.01-0ubuntu0.24.04.1"
    )
    assert cards.driver_package(policy, KINDS["Ubuntu"], [PASCAL], TF1)["name"] == "nvidia-driver-550"
    assert cards.driver_package(table("nvidia-driver-410", "410.39-0ubuntu1"), KINDS["Ubuntu"], [PASCAL], TF1) == {}


def test_what_debian_only_recommends_comes_along(cards: ModuleType) -> None:
    """Without recommended packages its driver has no libcuda, and the daemon takes another branch's libraries."""
    pascal = cards.driver_package(BOOKWORM, KINDS["Debian"], [PASCAL], TF1)
    assert pascal["packages"][1:] == ["libcuda1", "libnvidia-cfg1", "nvidia-smi", "nvidia-persistenced"]
    kepler = cards.driver_package(BOOKWORM, KINDS["Debian"], [KEPLER], TF1)
    assert kepler["packages"][1:] == [
        "libnvidia-tesla-470-cuda1", "libnvidia-tesla-470-cfg1", "nvidia-tesla-470-smi", "nvidia-persistenced",
    ]  # fmt: skip
    assert {r"nvidia-tesla-(\d+)-driver", r"libnvidia-tesla-\d+-cuda1", "libcuda1"} <= set(
        cards.driver_names(KINDS["Debian"])
    )


def test_what_is_installed_stays(cards: ModuleType) -> None:
    """It waits for a restart: neither a newer version nor a newer branch is a reason to change it."""
    policy = table("nvidia-driver-535", "535.216.01-0ubuntu1", "535.183.01-0ubuntu1") + table(
        "nvidia-driver-580", "580.95.05-1"
    )
    found = cards.driver_package(policy, KINDS["Ubuntu"], [PASCAL], TF1)
    assert found["packages"] == ["nvidia-driver-535=535.183.01-0ubuntu1"]
    assert cards.missing(found["packages"], policy) == []
    assert cards.driver_package(policy, KINDS["Ubuntu"], [PASCAL], TF1, "580")["name"] == "nvidia-driver-580"
    wrong = table("nvidia-driver-590", "590.44.01-1", "590.44.01-1") + table("nvidia-driver-580", "580.95.05-1")
    assert cards.driver_package(wrong, KINDS["Ubuntu"], [PASCAL], TF1)["name"] == "nvidia-driver-580"


def test_cards_that_are_not_ours_are_thought_of(cards: ModuleType) -> None:
    """A small Kepler that only drives the console keeps its driver where that serves us, too."""
    assert cards.driver_package(JAMMY, KINDS["Ubuntu"], [TURING], TF1, "auto", [TURING, KEPLER])["branch"] == "470"
    assert cards.driver_package(JAMMY, KINDS["Ubuntu"], [TURING], TF1, "535", [TURING, KEPLER])["branch"] == "535"
    assert cards.driver_package(BOOKWORM, KINDS["Debian"], [PASCAL], TF1, "auto", [PASCAL, AMPERE])["branch"] == "535"
    assert cards.driver_package(BOOKWORM, KINDS["Debian"], [KEPLER], TF1, "auto", [KEPLER, ADA])["branch"] == "470"


def test_what_apt_would_really_do_counts(cards: ModuleType) -> None:
    simulated = """\
Reading package lists...
Inst nvidia-driver-pinning-580 (580-1 NVIDIA CUDA [all])
Inst libnvidia-ml1 (590.44.01-1 NVIDIA CUDA [amd64])
Inst libcuda1:i386 (590.44.01-1 NVIDIA CUDA [i386])
Inst libnvidia-container1 (1.17.8-1 NVIDIA [amd64])
Inst nvidia-persistenced [525.85.05-1] (590.44.01-1 NVIDIA CUDA [amd64])
Inst nvidia-kernel-dkms [535.183.01-1] (590.44.01-1 NVIDIA CUDA [amd64]) []
Inst cuda-drivers-580 (580.95.05-1 NVIDIA CUDA [amd64])
Conf nvidia-kernel-dkms (590.44.01-1 NVIDIA CUDA [amd64])
"""
    wrong = ["libnvidia-ml1 590.44.01-1", "libcuda1:i386 590.44.01-1", "nvidia-kernel-dkms 590.44.01-1"]
    assert cards.driver_refused(simulated, [PASCAL], TF1) == wrong
    assert cards.driver_refused(simulated, [TURING], TF1) == []
    opened = "Inst nvidia-dkms-580-open (580.95.05-0ubuntu1 Ubuntu:24.04 [amd64])\n"
    assert cards.driver_refused(opened, [PASCAL], TF1) == ["nvidia-dkms-580-open 580.95.05-0ubuntu1"]
    assert cards.driver_refused(opened, [TURING], TF1) == []


def test_candidates_and_what_is_missing(cards: ModuleType) -> None:
    policy = BOOKWORM + table("python3.7", "(none)") + table("cc", "2:4.19-1", "2:4.18-1")
    assert cards.candidates(policy)["linux-headers-6.1.0-25-amd64"] == "6.1.106-3"
    assert "python3.7" not in cards.candidates(policy)
    assert cards.missing(["cc", "cc=2:4.18-1", "cc=2:4.19-1", "python3.7", "unheard-of"], policy) == [
        "cc=2:4.19-1", "python3.7", "unheard-of",
    ]  # fmt: skip
    assert cards.candidates("") == cards.candidates("cc:\n  Installiert: 1\n  Installationskandidat: 1\n") == {}


BRANCHES = st.integers(380, 700)
OFFERS = st.dictionaries(
    st.tuples(BRANCHES, st.sampled_from(["", "-server", "-open"])),
    st.tuples(st.booleans(), st.integers(0, 300)),
    max_size=6,
)
THERE = st.lists(st.sampled_from([KEPLER, PASCAL, TURING]), min_size=1, max_size=3)


@given(OFFERS, THERE, st.one_of(st.just("auto"), BRANCHES.map(str)))
def test_whatever_is_offered_no_card_is_lost(
    cards: ModuleType, offers: dict[tuple[int, str], tuple[bool, int]], there: list[dict[str, str]], branch: str
) -> None:
    policy, suiting = "", set()
    for (number, suffix), (installed, minor) in offers.items():
        version = f"{number}.{minor:02}-0ubuntu1"
        policy += table(f"nvidia-driver-{number}{suffix}", version, version if installed else "(none)")
        if suffix != "-open" and cards.driver_suits(version, there, TF1) and branch in ("auto", str(number)):
            suiting.add((installed, number))
    found: dict[str, Any] = cards.driver_package(policy, KINDS["Ubuntu"], there, TF1, branch, there)
    assert bool(found) == bool(suiting)
    if found:
        assert int(found["branch"]) == max(suiting)[1]
        assert cards.driver_suits(found["version"], there, TF1) and branch in ("auto", found["branch"])
