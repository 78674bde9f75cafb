"""Which driver a server gets, and what is refused before anything is installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.provision.drivers import ADA, AMPERE, DEBIAN, GTX680, KEPLER, NOUVEAU, PASCAL, TURING, UBUNTU, Server
from stand_ins.provision.apt_repository import Package, Repository
from stand_ins.provision.driver_packages import dkms, driver_packages, kernel_headers

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]


@pytest.mark.parametrize(
    ("cards", "others", "package"),
    [
        ([KEPLER], {}, "nvidia-driver-470-server"),
        ([PASCAL], {}, "nvidia-driver-580"),
        ([TURING], {}, "nvidia-driver-590"),
        ([PASCAL], {"nvidia_driver_branch": 535}, "nvidia-driver-535"),
        ([PASCAL, AMPERE], {"iblvideo_admin_gpus": 0}, "nvidia-driver-580"),
        ([AMPERE, TURING], {"iblvideo_admin_gpus": "1", "toolchain": "auto"}, "nvidia-driver-590"),
        ([ADA], {"toolchain": "auto"}, "nvidia-driver-590"),
    ],
    ids=["kepler", "pascal", "turing", "pinned", "mixed", "mixed-auto", "ada-auto"],
)
def test_the_branch_that_suits(
    server: Server, offered: Callable[..., Repository], cards: list[str], others: dict[str, Any], package: str
) -> None:
    """Of Ubuntu's packages; one of 590 is always there, and a name that leads from 460 to 470."""
    server.is_ubuntu()
    server.cards(*cards)
    repository = offered(UBUNTU)
    repository.add(Package("nvidia-driver-460", "470.256.02-0ubuntu0.22.04.1", ("nvidia-driver-470-server",)))
    repository.publish()
    server.offer(repository)
    server.play(**others).good()
    found = server.installed()
    assert [name for name in found if name.startswith("nvidia-driver-")] == [package]
    assert server.held() == set(found)
    assert server.play(**others).good().changes() == []
    assert server.installed() == found


def test_kepler_on_debian(server: Server, offered: Callable[..., Repository]) -> None:
    server.cards(KEPLER)
    server.offer(offered(DEBIAN))
    server.play().good()
    found = server.installed()
    assert found["nvidia-tesla-470-driver"] == "470.256.02-1~deb12u1"
    assert "libnvidia-cfg1" not in found, "the daemon would take the other branch's"
    assert {"libnvidia-tesla-470-cuda1", "nvidia-tesla-470-smi", "nvidia-persistenced"} <= set(found) == server.held()


Case = tuple[list[str], dict[str, Any], list[str]]


NO_BRANCH: dict[str, Case] = {
    "too new": (
        [PASCAL],
        {"nvidia_driver_branch": 590},
        ["nvidia_driver_branch is 590", "last branch that knows Pascal"],
    ),
    "of another card": (
        [KEPLER],
        {"nvidia_driver_branch": "535"},
        ["later than 470", "knows Kepler", "Set it to auto"],
    ),
    "too old": ([PASCAL], {"nvidia_driver_branch": 390}, ["it must be 410.48 or later"]),
    "a word": ([TURING], {"nvidia_driver_branch": "newest"}, ["nvidia_driver_branch is newest", "Set it to auto"]),
    "not there": ([PASCAL], {"nvidia_driver_branch": 550}, ["No repository", "nvidia_driver_branch is 550"]),
    "packages too new": (
        [PASCAL],
        {"nvidia_driver_packages": ["nvidia-driver-590", "nvidia-utils-590"]},
        ["would bring", "nvidia-dkms-590 590.44.01", "last branch that knows Pascal", "Nothing was installed"],
    ),
    "packages that are not": (
        [PASCAL],
        {"nvidia_driver_packages": ["nvidia-drivers"]},
        ["would fail: E: Unable to locate package nvidia-drivers", "or leave it empty"],
    ),
}


NO_CARD: dict[str, Case] = {
    "too new": ([AMPERE], {}, ["GA102 [GeForce RTX 3090] (Ampere, compute capability 8.6)", "3.5 to 7.5"]),
    "too old, auto": ([GTX680], {"toolchain": "auto"}, ["no toolchain here serves all", "GK104", "onnx-cpu"]),
    "mixed": (
        [PASCAL, AMPERE],
        {},
        ["not among them: 0000:02:00.0 GA102", "Name the other cards in iblvideo_admin_gpus"],
    ),
    "mixed, auto": ([PASCAL, AMPERE], {"toolchain": "auto"}, ["all of this server's cards (0000:02:00.0 GA102"]),
    "none": ([], {}, ["gpu_expected is true, but no NVIDIA card is on the PCI bus", "set gpu_expected=false"]),
    "none of ours": ([PASCAL], {"iblvideo_admin_gpus": 3}, ["iblvideo_admin_gpus=3 names none of the 1 cards"]),
    "a word": ([PASCAL], {"iblvideo_admin_gpus": "first"}, ["iblvideo_admin_gpus is first; wanted is: all, none, or"]),
}


@pytest.mark.parametrize(
    "case", [*NO_BRANCH.values(), *NO_CARD.values()], ids=[*NO_BRANCH, *(f"card {n}" for n in NO_CARD)]
)
def test_refused_before_anything_is_installed(
    unchanging: Server, offered: Callable[..., Repository], case: Case
) -> None:
    cards, variables, sentences = case
    unchanging.is_ubuntu()
    unchanging.cards(*cards)
    unchanging.offer(offered(UBUNTU))
    refused(unchanging, *sentences, **variables)


def refused(server: Server, *sentences: str, **variables: Any) -> None:
    """It fails with these words, and nothing was done."""
    dpkg = server.host.root / "var/lib/dpkg/status"
    before = dpkg.read_bytes()
    server.play(**variables).failed(*sentences)
    assert dpkg.read_bytes() == before and not (server.host.root / NOUVEAU).exists() and not server.held()


def test_what_stands_in_the_way_is_said_first(
    unchanging: Server, offered: Callable[..., Repository], tmp_path: Path
) -> None:
    server = unchanging
    server.is_ubuntu()
    server.cards(PASCAL).secure_boot(True)
    server.offer(offered(UBUNTU))
    refused(server, "Secure Boot is on", "mokutil --import /var/lib/dkms/mok.pub", "nvidia_driver_modules_signed=true")
    server.cards(PASCAL)
    server.offer(offered(UBUNTU, headers=False))
    kernel = os.uname().release
    refused(server, f"no repository has linux-headers-{kernel}", "apt-get dist-upgrade")
    server.offer(offered({}))
    refused(
        server,
        "No repository of this host has a driver that suits",
        "sudo add-apt-repository restricted, then apt-get update",
    )
    server.cards(KEPLER)
    server.offer(offered({"nvidia-driver-590": UBUNTU["nvidia-driver-590"]}))
    refused(server, "No repository of this host has a driver that suits", "last branch that knows Kepler")


def test_a_name_of_the_right_branch_that_lets_another_in(server: Server, tmp_path: Path) -> None:
    """As in NVIDIA's repository for Debian: cuda-drivers-580 is content with any newer driver."""
    repository = Repository(tmp_path / "nvidia")
    repository.add(dkms(), *kernel_headers(), *driver_packages("nvidia-driver", "590.44.01"))
    repository.add(
        Package("cuda-drivers-580", "580.95.05-1", ("nvidia-driver (>= 580.95.05)", "libcuda1 (>= 580.95.05)"))
    )
    repository.publish()
    server.cards(PASCAL)
    server.offer(repository)
    words = "apt-get install cuda-drivers-580=580.95.05-1", "nvidia-driver 590.44.01", "Pin in /etc/apt/preferences.d"
    refused(server, *words)
    server.cards(TURING)
    server.play().good()
    assert server.installed()["nvidia-driver"].startswith("590.")


def test_a_driver_that_runs(server: Server, offered: Callable[..., Repository]) -> None:
    """One that suits is let be; another is named, and replaced only if that is wished."""
    server.is_ubuntu()
    server.offer(offered(UBUNTU))
    server.cards(PASCAL).loaded("535.183.01").headers()
    server.play().good()
    assert server.installed() == {}, "a newer one is no reason"
    server.play(nvidia_driver_branch=580).failed(
        "Driver 535.183.01 runs, but nvidia_driver_branch is 580. Set nvidia_driver_replace=true"
    )
    server.root("apt-get", "-qy", "install", "nvidia-driver-590")
    machine = server.cards(PASCAL).loaded("590.44.01").headers()
    server.play().failed(
        "Driver 590.44.01 runs, but", "last branch that knows Pascal", "Set nvidia_driver_replace=true"
    )
    assert "nvidia-driver-590" in server.installed()
    server.root("apt-mark", "hold", *(name for name in server.installed() if "590" in name))
    server.play(nvidia_driver_replace=True).good()
    found = server.installed()
    assert "nvidia-driver-580" in found and not any("590" in name for name in found)
    assert server.held() == set(found)
    waiting = server.play().good()  # the old one runs on until the restart
    assert waiting.changes() == [] and "runs only after a restart" in waiting.words
    machine.loaded("580.95.05")
    assert "restart" not in server.play().good().words
