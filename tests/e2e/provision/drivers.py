"""A host with cards, which are folders, and repositories of drivers, which are stand-ins."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from e2e.hosts import Hosts
from e2e.provision.makers import SESSIONS
from e2e.provision.releases import pretend
from e2e.provision.site import Said, Site
from gpu.machines import Machine
from stand_ins.provision.apt_repository import KEYRING, Repository
from stand_ins.provision.driver_packages import dkms, driver_packages, kernel_headers

KEPLER, PASCAL, TURING, AMPERE, ADA = "10de:102d", "10de:1b06", "10de:1e04", "10de:2204", "10de:2684"
GTX680 = "10de:1180"  # Kepler as well, and too old for any toolchain
NOUVEAU = "etc/modprobe.d/iblvideo-admin-nouveau.conf"
DEBIAN = {"nvidia-driver": "535.183.01", "nvidia-tesla-470-driver": "470.256.02"}
# What the running kernel's own metapackages end with; the repositories have none of them unless it is asked for.
FLAVOUR = re.sub(r"^\d[^-]*(?:-\d[^-]*)?-", "", os.uname().release)
UBUNTU = {
    "nvidia-driver-470-server": "470.256.02", "nvidia-driver-535": "535.183.01", "nvidia-driver-580": "580.95.05",
    "nvidia-driver-590": "590.44.01",
}  # fmt: skip


class Server:
    """A host with cards, and with one repository and no other."""

    def __init__(self, hosts: Hosts, folder: Path, **given: Any) -> None:
        self.host = hosts.boot(**given)
        (self.host.root / SESSIONS.lstrip("/")).mkdir(parents=True)
        (self.host.root / "etc/apt/sources.list.d/debian.sources").unlink()
        (self.host.root / "etc/modprobe.d").mkdir(exist_ok=True)  # of kmod, which hosts without modules lack
        self._trees = 0
        variables = {"toolchain": "dlc-tf1-cuda10.0", "base_min_free_gb": 0}
        self.site = Site(hosts, folder, [self.host], **variables)

    def cards(self, *numbers: str) -> Machine:
        """Other cards than before, none of which has a driver."""
        self._trees += 1
        tree = f"/srv/machine-{self._trees}"
        machine = Machine(self.host.root / tree[1:], kernel=os.uname().release).pci_ids()
        for number in numbers:
            machine.card(number, driver=None)
        self.site.change(base_sysroot=tree)
        return machine

    def offer(self, repository: Repository) -> None:
        """Its packages come from here, now."""
        there = self.host.root / "srv/repository"
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(repository.folder, there)
        keyring = self.host.root / KEYRING[1:]
        keyring.parent.mkdir(parents=True, exist_ok=True)
        assert repository.keyring is not None
        shutil.copy(repository.keyring, keyring)
        (self.host.root / "etc/apt/sources.list.d/local.list").write_text(repository.source("file:/srv/repository"))
        self.root("apt-get", "-q", "update")

    def is_ubuntu(self) -> None:
        """Whose packages have other names."""
        pretend(self.host, "Ubuntu 22.04")

    def root(self, *words: str) -> str:
        return self.host.ssh(*words, user="root").stdout

    def play(self, *arguments: str, **variables: Any) -> Said:
        return self.site.play("playbooks/provision.yml", "--tags", "nvidia_driver", *arguments, **variables)

    def installed(self) -> dict[str, str]:
        """Package -> version, of what belongs to a driver."""
        shown = self.root("dpkg-query", "--show", "--showformat", "${Package} ${Version} ${db:Status-Status}\n")
        lines = [line.split() for line in shown.splitlines()]
        return {
            words[0]: words[1]
            for words in lines
            if words[2] == "installed" and ("nvidia" in words[0] or "cuda" in words[0])
        }

    def held(self) -> set[str]:
        return set(self.root("apt-mark", "showhold").split())

    def boot_id(self) -> str:
        return self.root("cat", "/proc/sys/kernel/random/boot_id")


def drivers(
    folder: Path, offered: dict[str, str], *, headers: bool = True, flavours: tuple[str, ...] = ("amd64", "generic")
) -> Repository:
    """A repository with these drivers and what their modules are built with."""
    made = Repository(folder)
    for name, version in offered.items():
        made.add(*driver_packages(name, version))
    made.add(dkms(), *(kernel_headers(flavours=flavours) if headers else ()))
    made.publish()
    return made
