"""The driver on real hosts: their cards are folders, their drivers are stand-ins in repositories of their own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.hosts import Hosts
from e2e.provision.drivers import DEBIAN, FLAVOUR, KEPLER, NOUVEAU, PASCAL, UBUNTU, Server, drivers
from e2e.provision.makers import ROOT
from gpu.machines import Machine
from stand_ins.provision.apt_repository import Repository
from stand_ins.provision.driver_packages import driver_packages, kernel_headers

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]


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
    assert second.changes() == []
    assert "runs only after a restart of this server" in second.words


@pytest.mark.full
def test_the_next_kernel_has_a_module(server: Server, tmp_path: Path) -> None:
    """Its headers come with it, as DKMS only recommends it; and only what is in the repository is asked for."""
    repository = drivers(tmp_path / "drivers", DEBIAN, flavours=(FLAVOUR,))
    server.cards(PASCAL)
    server.offer(repository)
    server.play().good()
    assert server.held() == set(server.installed()), "headers are not held"
    following = f"99.1.0-1-{FLAVOUR}"
    repository.add(*kernel_headers(following, (FLAVOUR,), version="99:99.1"))
    repository.publish()
    server.offer(repository)
    assert server.play().good().changes() == []
    server.root("apt-get", "-qy", "--with-new-pkgs", "upgrade")
    assert f"nvidia-current/535.183.01, {following}, x86_64: installed" in server.root("dkms", "status")
    assert server.play().good().changes() == []


@pytest.mark.full
def test_what_was_held_is_let_go_when_it_is_wished(server: Server, offered: Callable[..., Repository]) -> None:
    server.cards(PASCAL)
    server.offer(offered(DEBIAN))
    server.play(nvidia_driver_hold=False).good()
    assert server.held() == set()
    server.root("apt-mark", "hold", "nvidia-smi", "dpkg")
    assert len(server.play().good().changes()) == 1
    assert server.held() == {"dpkg", *server.installed()}
    server.play(nvidia_driver_hold=False).good()
    assert server.held() == {"nvidia-smi", "dpkg"}, "those that a person held"
    assert server.play(nvidia_driver_hold=False).good().changes() == []


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
    assert server.play().good().changes() == [], "nor do the roles, before the restart or after"
    server.cards(PASCAL).loaded("535.183.01").headers()
    assert server.play().good().changes() == []
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
    assert server.play().good().changes() == []
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
    assert again.changes() == [] and server.boot_id() == after


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
    assert server.play(mirror_dir=str(folder)).good().changes() == []
    server.cards(KEPLER)
    server.play(mirror_dir=str(folder)).failed("No repository", "make the mirror folder anew")
