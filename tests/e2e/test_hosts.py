"""The test hosts themselves: what tests on them rely on, and that nothing of them is left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from e2e.hosts import Host, Hosts
from e2e.hosts.machine import registry_addresses

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]  # the base tree may have to be made


@pytest.fixture(scope="module")
def pair(hosts: Hosts) -> Iterator[tuple[Host, Host]]:
    hosts.base()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: hosts.boot(), range(2))
    yield first, second
    first.destroy()
    second.destroy()


def connects(host: Host, *places: tuple[str, int]) -> bool:
    """Whether the host's own Python reaches any of them."""
    question = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
    shell = 'while [ "$1" ]; do python3 -c "$0" "$1" "$2" && exit; shift 2; done; exit 1'
    words = [str(word) for place in places for word in place]
    return host.ssh("sh", "-c", shell, question, *words, check=False).returncode == 0


def test_a_host_is_a_server_of_its_own(pair: tuple[Host, Host]) -> None:
    for host in pair:
        assert host.ssh("systemctl", "is-system-running").stdout == "running\n"
        assert host.ssh("id", "-un").stdout == "deploy\n"
        assert host.ssh("sudo", "id", "-un").stdout == "root\n"
        assert host.ssh("hostname", user="root").stdout == f"{host.name}\n"
        assert f"inet {host.address}/24" in host.ssh("ip", "addr", "show", "eth0").stdout
        assert (host.root / "etc/hostname").read_text() == f"{host.name}\n"
    first, second = pair
    assert connects(first, (second.name, 22)) and connects(second, (first.address, 22))


def test_words_and_input_arrive_as_they_are(pair: tuple[Host, Host]) -> None:
    words = ["two words", "$HOME", "'\"*", ""]
    said = pair[0].ssh("python3", "-c", "import sys; print(sys.argv[1:], sys.stdin.read())", *words, input="a\n$b")
    assert said.stdout == f"{words} a\n$b\n"
    with pytest.raises(subprocess.CalledProcessError, match="no such thing"):
        pair[0].ssh("sh", "-c", "echo no such thing >&2; exit 3")
    assert pair[0].ssh("sh", "-c", "exit 3", check=False).returncode == 3


def test_what_is_written_survives(pair: tuple[Host, Host]) -> None:
    host = pair[0]
    boot_id = ("cat", "/proc/sys/kernel/random/boot_id")
    seen = {host.ssh(*boot_id).stdout}
    host.ssh("sh", "-c", "echo kept > kept")
    host.reboot()
    seen.add(host.ssh(*boot_id).stdout)
    host.power_off_hard()
    assert host.ssh("true", check=False).returncode == 255
    with (host.root / "home/deploy/kept").open("a") as file:
        file.write("and changed\n")
    host.boot()
    seen.add(host.ssh(*boot_id).stdout)
    assert len(seen) == 3
    assert host.ssh("cat", "kept").stdout == "kept\nand changed\n"
    assert host.ssh("systemctl", "is-system-running").stdout == "running\n"


def test_packages_come_only_where_egress_is_given(pair: tuple[Host, Host]) -> None:
    host, neighbour = pair
    options = ("download", "six", "--no-deps", "--no-cache-dir", "--retries", "0", "--dest", "packages")
    pip = (
        "sh",
        "-c",
        'wheel=$(ls /usr/share/python-wheels/pip-*.whl) && exec python3 "$wheel/pip" "$@"',
        "pip",
        *options,
    )
    apt = ("sudo", "apt-get", "-q", "update", "-o", "Acquire::Retries=0", "--error-on=any")
    host.ssh(*pip)
    host.ssh(*apt)
    host.egress("none")
    assert host.ssh(*apt, check=False).returncode != 0
    # without its settings: those may name folders, which a host without a network sees, too
    assert host.ssh("env", "PIP_CONFIG_FILE=/dev/null", *pip, check=False).returncode != 0
    registries = [(address, port) for address in sorted(registry_addresses()) for port in (53, 80, 443)]
    assert not connects(host, *registries)
    assert not connects(host, (neighbour.address, 22)) and not connects(neighbour, (host.address, 22))
    host.egress("registries")
    assert connects(host, *registries) and connects(host, (neighbour.address, 22))


def test_only_an_allowed_port_of_the_controller_is_reached(hosts: Hosts, pair: tuple[Host, Host]) -> None:
    with socket.create_server((hosts.controller_address, 0)) as server:
        port = server.getsockname()[1]
        assert not connects(pair[0], (hosts.controller_address, port))
        pair[0].allow_controller_port(port)
        pair[0].egress("none")
        assert connects(pair[0], (hosts.controller_address, port))
        assert not connects(pair[1], (hosts.controller_address, port))
        pair[0].egress("registries")


def test_ansible_reaches_them(hosts: Hosts, pair: tuple[Host, Host], tmp_path: Path) -> None:
    inventory = hosts.inventory(tmp_path / "inventory.yml", pair, base_group_members=["deploy"], gpu_expected=False)
    command = [sys.executable, str(Path(sys.executable).parent / "ansible"), "iblvideo_servers", "-i", str(inventory)]
    for module in (["-m", "ping"], ["-m", "debug", "-a", "msg={{ gpu_expected | type_debug }}"]):
        done = subprocess.run([*command, *module], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("pong" if "ping" in module else "msg: bool") == 2, done.stdout


def traces(*names: str) -> list[str]:
    """What this machine shows of hosts or networks of these names."""
    commands = [
        "mount",
        "ip netns list",
        "ip link",
        "nft list ruleset",
        "ps -e -o args",
        "find /sys/fs/cgroup /run -name *ia*",
    ]
    shown = [
        subprocess.run(["/usr/bin/env", *c.split()], capture_output=True, text=True, check=False) for c in commands
    ]
    return [line for done in shown for line in done.stdout.splitlines() if any(name in line for name in names)]


def test_two_runs_side_by_side_leave_nothing(hosts: Hosts, pair: tuple[Host, Host], tmp_path: Path) -> None:
    with Hosts(tmp_path / "other") as others:
        assert others.controller_address != hosts.controller_address
        other = others.boot()
        names = [other.name, f"{others.run.prefix}br", f"iblvideo_{others.run.prefix}"]
        assert all(traces(name) for name in names)
        assert not connects(other, (pair[0].address, 22)) and not connects(pair[0], (other.address, 22))
        other.destroy()
        assert traces(other.name) == [] and not other.folder.exists()
        again = others.boot()
        assert (again.name, again.address) == (other.name, other.address)
        assert again.ssh("true").returncode == 0
    assert traces(*names) == []
    assert list((tmp_path / "other").iterdir()) == []
    assert pair[0].ssh("systemctl", "is-system-running").stdout == "running\n"


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    code = "import os, sys\nfrom pathlib import Path\nfrom e2e.hosts import Hosts\nhosts = Hosts(Path(sys.argv[1]))\n"
    code += "print(hosts.boot().name, hosts.run.number)\nsys.stdout.flush()\nos.kill(os.getpid(), 9)\n"
    command = [sys.executable, "-c", code, str(tmp_path / "dead")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    name, number = done.stdout.split()[-2:]
    assert traces(name)
    with Hosts(tmp_path / "alive") as hosts:
        assert traces(f"{name} ", f"/{name}") == [] and hosts.run.number <= int(number)
        assert not (tmp_path / "dead/hosts").exists()
