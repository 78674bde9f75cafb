"""The driver on real hosts: their cards are folders, their drivers are stand-ins in repositories of their own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.hosts import Hosts
from e2e.provision.makers import ROOT, SESSIONS
from e2e.provision.releases import pretend
from e2e.provision.site import Said, Site
from gpu.machines import Machine
from stand_ins.provision.apt_repository import KEYRING, Package, Repository
from stand_ins.provision.driver_packages import dkms, driver_packages, kernel_headers

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]

KEPLER, PASCAL, TURING, AMPERE, ADA = "10de:102d", "10de:1b06", "10de:1e04", "10de:2204", "10de:2684"
NOUVEAU = "etc/modprobe.d/iblvideo-admin-nouveau.conf"
DEBIAN = {"nvidia-driver": "535.183.01", "nvidia-tesla-470-driver": "470.256.02"}
UBUNTU = {
    "nvidia-driver-470-server": "470.256.02", "nvidia-driver-535": "535.183.01", "nvidia-driver-580": "580.95.05",
    "nvidia-driver-590": "590.44.01",
}  # fmt: skip


def drivers(folder: Path, offered: dict[str, str], *, headers: bool = True) -> Repository:
    """A repository with these drivers and what their modules are built with."""
    made = Repository(folder)
    for name, version in offered.items():
        made.add(*driver_packages(name, version))
    made.add(dkms(), *(kernel_headers() if headers else ()))
    made.publish()
    return made


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Repository]:
    """A function that makes a repository, each only once."""
    made: dict[str, Repository] = {}

    def make(drivers_of: dict[str, str], *, headers: bool = True) -> Repository:
        key = f"{sorted(drivers_of)} {headers}"
        if key not in made:
            made[key] = drivers(tmp_path_factory.mktemp("drivers"), drivers_of, headers=headers)
        return made[key]

    return make


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


@pytest.fixture
def server(hosts: Hosts, tmp_path: Path) -> Iterator[Server]:
    made = Server(hosts, tmp_path / "site")
    yield made
    made.host.destroy()


@pytest.fixture(scope="module")
def unchanging(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for everything that is refused before anything is installed."""
    made = Server(hosts, tmp_path_factory.mktemp("unchanging"))
    yield made
    made.host.destroy()


def test_a_driver_comes_and_stays(server: Server, offered: Callable[..., Repository]) -> None:
    """Debian's own: it only recommends what CUDA needs."""
    server.cards(PASCAL)
    server.offer(offered(DEBIAN))
    first = server.play().good()
    found = server.installed()
    assert found["nvidia-driver"] == "535.183.01-1~deb12u1"
    assert {
        "libcuda1",
        "libnvidia-ml1",
        "libnvidia-cfg1",
        "nvidia-kernel-dkms",
        "nvidia-persistenced",
        "nvidia-smi",
    } <= set(found)
    assert server.held() == set(found), "all of it, or none"
    assert server.root("dkms", "status").startswith("nvidia-current/535.183.01, ")
    assert server.root("systemctl", "is-enabled", "nvidia-persistenced") == "enabled\n"
    assert "blacklist nouveau\n" in (server.host.root / NOUVEAU).read_text()
    assert "runs only after a restart of this server" in first.words and "reboot_allowed is false" in first.words
    second = server.play().good()
    assert second.counts(server.host)["changed"] == 0, second.text
    assert "runs only after a restart of this server" in second.words


@pytest.mark.full
@pytest.mark.parametrize(
    ("cards", "others", "package"),
    [
        ([KEPLER], {}, "nvidia-driver-470-server"),
        ([PASCAL], {}, "nvidia-driver-580"),
        ([TURING], {}, "nvidia-driver-590"),
        ([PASCAL], {"nvidia_driver_branch": 535}, "nvidia-driver-535"),
        ([PASCAL, AMPERE], {"iblvideo_admin_gpus": 0}, "nvidia-driver-580"),
        ([AMPERE, TURING], {"iblvideo_admin_gpus": "1", "toolchain": "auto"}, "nvidia-driver-590"),
    ],
    ids=["kepler", "pascal", "turing", "pinned", "mixed", "mixed-auto"],
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
    assert server.play(**others).good().counts(server.host)["changed"] == 0
    assert server.installed() == found


@pytest.mark.full
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
    "too new, auto": (
        [ADA],
        {"toolchain": "auto"},
        ["no toolchain here serves all", "AD102 [GeForce RTX 4090]", "dlc-tf1-cpu"],
    ),
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


@pytest.mark.full
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


@pytest.mark.full
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


@pytest.mark.full
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


@pytest.mark.full
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
    assert waiting.counts(server.host)["changed"] == 0 and "runs only after a restart" in waiting.words
    machine.loaded("580.95.05")
    assert "restart" not in server.play().good().words


@pytest.mark.full
def test_nightly_upgrades_leave_it(server: Server, tmp_path: Path) -> None:
    """Debian's own program, allowed to take from this repository: it would, were the packages not held."""
    host = server.host
    shutil.copy(Path("/etc/apt/sources.list.d/debian.sources"), host.root / "etc/apt/sources.list.d/debian.sources")
    server.root("apt-get", "-q", "update")
    server.root(
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qy",
        "install",
        "--no-install-recommends",
        "unattended-upgrades",
    )
    (host.root / "etc/apt/sources.list.d/debian.sources").unlink()
    allowed = 'Unattended-Upgrade::Origins-Pattern { "origin=NVIDIA"; };\n'
    (host.root / "etc/apt/apt.conf.d/99local").write_text(allowed)
    repository = drivers(tmp_path / "drivers", DEBIAN)
    server.cards(PASCAL)
    server.offer(repository)
    server.play().good()
    before = server.installed()
    for part in driver_packages("nvidia-driver", "535.309.01"):
        if part.version not in before.values() or part.name not in before:
            repository.add(part)
    repository.publish()
    server.offer(repository)
    nightly = ("unattended-upgrade", "--dry-run", "-d")
    said = host.ssh(*nightly, user="root", timeout=300)
    assert "pkg libcuda1 is on hold" in said.stdout, said.stdout
    assert "No packages found that can be upgraded unattended" in said.stdout, said.stdout
    assert server.play().good().counts(host)["changed"] == 0, "nor do the roles, before the restart or after"
    server.cards(PASCAL).loaded("535.183.01").headers()
    assert server.play().good().counts(host)["changed"] == 0
    assert server.installed() == before
    server.root("apt-mark", "unhold", *before)
    said = host.ssh(*nightly, user="root", timeout=300)
    assert "libcuda1" in said.stdout.partition("Packages that will be upgraded:")[2], "the test would have seen it"


@pytest.mark.full
def test_nouveau_is_kept_away(server: Server, offered: Callable[..., Repository]) -> None:
    server.cards(PASCAL).nouveau()
    server.offer(offered(DEBIAN))
    program = server.host.root / "usr/sbin/update-initramfs"
    program.write_text('#!/bin/sh\necho "$@" >>/var/log/initramfs\n')
    program.chmod(0o755)
    server.play().good()
    assert server.root("cat", "/var/log/initramfs") == "-u\n"
    assert server.play().good().counts(server.host)["changed"] == 0
    assert server.root("cat", "/var/log/initramfs") == "-u\n"
    server.root("apt-mark", "hold", "dpkg")
    server.site.play("playbooks/uninstall.yml").good()
    assert not (server.host.root / NOUVEAU).exists() and server.held() == {"dpkg"}
    assert "nvidia-driver" in server.installed()


LOADS = """[Unit]
Description=Stands in for the kernel, which loads a driver when it starts
[Service]
Type=oneshot
ExecStart=/bin/sh -c '[ ! -e /usr/bin/nvidia-smi ] || cp -a /srv/loaded/. {tree}/'
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.full
def test_a_restart_where_it_is_allowed(server: Server, offered: Callable[..., Repository]) -> None:
    machine = server.cards(PASCAL)
    Machine(server.host.root / "srv/loaded", kernel=machine.kernel).loaded("535.183.01")
    unit = server.host.root / "etc/systemd/system/loads.service"
    unit.write_text(LOADS.format(tree=f"/srv/{machine.root.name}"))
    server.root("systemctl", "enable", "loads.service")
    server.offer(offered(DEBIAN))
    before = server.boot_id()
    assert "reboot_allowed is false" in server.play().good().words
    assert server.boot_id() == before
    server.play(reboot_allowed=True).good()
    after = server.boot_id()
    assert after != before, "it was installed in the run before, and waited for this"
    again = server.play(reboot_allowed=True).good()
    assert again.counts(server.host)["changed"] == 0 and server.boot_id() == after


@pytest.mark.full
def test_no_restart_of_the_machine_that_ansible_runs_on(
    hosts: Hosts, offered: Callable[..., Repository], tmp_path: Path
) -> None:
    """As on a server that is its own controller: by the inventory, and by the command line."""
    binds = {str(path): str(path) for path in {ROOT, Path(sys.prefix), Path(sys.base_prefix)}}
    server = Server(hosts, tmp_path / "site", bind_ro=binds)
    try:
        host = server.host
        machine = server.cards(PASCAL)
        server.offer(offered(DEBIAN))
        before = server.boot_id()
        variables = "toolchain=dlc-tf1-cuda10.0 base_min_free_gb=0 reboot_allowed=true"
        (host.root / "srv/inventory").write_text(
            f"[iblvideo_servers]\n{host.name} base_sysroot=/srv/{machine.root.name} {variables}"
            " ansible_python_interpreter=/usr/bin/python3\n"
        )
        program = [sys.executable, str(Path(sys.prefix) / "bin/ansible-playbook"), "-i", "/srv/inventory"]
        for more in (["-e", "ansible_connection=local"], ["-c", "local"]):
            command = [
                *program,
                *more,
                "-e",
                "ansible_become=true",
                "--tags",
                "nvidia_driver",
                "playbooks/provision.yml",
            ]
            script = (
                'cd "$1"; shift; LC_ALL=C.UTF-8 ANSIBLE_HOME=/srv/ansible ANSIBLE_CONFIG=$PWD/ansible.cfg exec "$@"'
            )
            done = host.ssh("sh", "-c", script, "sh", str(ROOT), *command, user="root", check=False, timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "because the connection is local" in " ".join(done.stdout.split())
        assert server.boot_id() == before and "nvidia-driver" in server.installed()
    finally:
        server.host.destroy()


@pytest.mark.full
def test_check_mode_changes_nothing(server: Server, offered: Callable[..., Repository]) -> None:
    """On a host whose lists were never fetched, too."""
    server.is_ubuntu()
    server.cards(PASCAL)

    def state() -> tuple[bytes, list[str]]:
        lists = server.host.root / "var/lib/apt/lists"
        return (server.host.root / "var/lib/dpkg/status").read_bytes(), sorted(path.name for path in lists.iterdir())

    before = state()
    said = server.play("--check").good()
    assert "would install a driver, of a branch that is known once apt's lists are there" in said.words
    assert state() == before
    server.offer(offered(UBUNTU))
    before = state()
    assert "would install nvidia-driver-580=580.95.05-0ubuntu0.22.04.1" in server.play("--check").good().words
    assert state() == before and not (server.host.root / NOUVEAU).exists()
    server.play("--check", nvidia_driver_branch=590).failed("last branch that knows Pascal")


@pytest.mark.full
def test_from_a_mirror_folder(server: Server, tmp_path: Path) -> None:
    """Only what is in the folder counts; the host's own lists are not asked."""
    folder = tmp_path / "mirror"
    drivers(folder / "packages/Debian-12", {"nvidia-driver": "535.183.01"})
    (folder / "MANIFEST.json").write_text("{}")
    server.cards(PASCAL)
    server.offer(drivers(tmp_path / "other", {"cuda-drivers-580": "580.95.05"}))
    server.play(mirror_dir=str(folder)).good()
    assert server.installed()["nvidia-driver"] == "535.183.01-1~deb12u1" and server.held() == set(server.installed())
    assert server.play(mirror_dir=str(folder)).good().counts(server.host)["changed"] == 0
    server.cards(KEPLER)
    server.play(mirror_dir=str(folder)).failed("No repository", "make the mirror folder anew")
