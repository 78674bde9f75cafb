"""What this machine has: whether hosts can be booted on it, and how it reaches its package registries."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path

from e2e.hosts.commands import attempt, environment, run

_TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}
_URL = re.compile(r"https?://(?:[^/@\s'\"]*@)?([^/:\s'\"]+)")
_PROXIES = re.compile(r"(https?|all)_proxy", re.IGNORECASE)
_PIP_DEFAULTS = "from pip._internal.models.index import PyPI; print(PyPI.netloc, PyPI.file_storage_domain)"


@cache
def missing() -> str:
    """Why hosts cannot be booted here; empty where they can.  What is tried leaves no trace."""
    if os.geteuid():
        return "test hosts need root"
    path = environment()["PATH"]
    if lacking := sorted({package for tool, package in _TOOLS.items() if not shutil.which(tool, path=path)}):
        return f"test hosts need these packages: {' '.join(lacking)}"
    if not mirror():
        return "test hosts need a Debian mirror in this machine's apt settings"
    if not cgroup_roots():
        return "test hosts need a cgroup file system"
    return _tried()


def _tried() -> str:
    table = "table inet t { chain c { type nat hook postrouting priority 100; }; }; table bridge t { }"
    network = f"ip link add b0 type bridge && nft '{table}'"
    if (tried := attempt("unshare", "--net", "sh", "-c", network)).returncode:
        return f"test hosts need network namespaces, bridges and nftables: {tried.stderr.strip()}"
    mount = 'cd "$1" && mkdir a b c d && mount -t overlay x -o lowerdir=a,upperdir=b,workdir=c d'
    with tempfile.TemporaryDirectory() as folder:
        if (tried := attempt("unshare", "--mount", "sh", "-c", mount, "sh", folder)).returncode:
            return f"test hosts need overlayfs over {tempfile.gettempdir()}: {tried.stderr.strip()}"
    return ""


def sources() -> str:
    """The apt sources of Debian itself; what else this machine installs from is no concern of a host."""
    texts = [path.read_text() for path in sorted(Path("/etc/apt").glob("sources.list.d/*.sources"))]
    stanzas = [stanza for text in texts for stanza in re.split(r"\n\s*\n", text.strip())]
    deb822 = [stanza for stanza in stanzas if re.search(r"^URIs:.*/debian(-security)?/?\s*$", stanza, re.MULTILINE)]
    if deb822:
        return "\n\n".join(deb822) + "\n"
    lines = [line.split() for path in _one_line_sources() for line in path.read_text().splitlines()]
    wanted = [
        words for words in lines if words[:1] == ["deb"] and re.search(r"/debian(-security)?/? ", " ".join(words))
    ]
    return "".join(_stanza(" ".join(words)) for words in wanted)


def _one_line_sources() -> list[Path]:
    return [
        path
        for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.list"))
        if path.exists()
    ]


def _stanza(line: str) -> str:
    """One line of the old form in the new one."""
    words = re.sub(r"\[[^]]*\]", "", line).split()
    return f"Types: deb\nURIs: {words[1]}\nSuites: {words[2]}\nComponents: {' '.join(words[3:])}\n\n"


def mirror() -> tuple[str, str] | None:
    """Address and suite that debootstrap takes."""
    found = re.search(r"^URIs:\s*(\S+/debian/?)\s*\n(?:.*\n)*?Suites:\s*(\S+)", sources(), re.MULTILINE)
    return (found[1], found[2]) if found else None


def apt_settings() -> str:
    """How this machine's apt fetches: proxies, certificates, retries."""
    dump = run("apt-config", "dump", "Acquire")
    return "".join(
        f"{line}\n"
        for line in dump.splitlines()
        if re.match(r"Acquire::(http|https|ftp|Retries|Check-[\w-]+)[: ]", line)
    )


def resolvers() -> str:
    """A resolv.conf that holds elsewhere, too: not a resolver that only this machine can ask."""
    for path in map(Path, ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")):
        if path.exists() and not re.search(r"^nameserver\s+(127\.|::1)", text := path.read_text(), re.MULTILINE):
            return text
    return ""


def registry_addresses() -> set[str]:
    """IPv4 addresses of what package tools ask: names out of their own settings, and the resolver."""
    found = set(re.findall(r"^nameserver\s+([\d.]+)\s*$", resolvers(), re.MULTILINE))
    for name in _registry_names():
        try:
            found |= {str(answer[4][0]) for answer in socket.getaddrinfo(name, None, socket.AF_INET)}
        except OSError:
            continue
    return found


@cache
def _registry_names() -> list[str]:
    proxies = [value for name, value in os.environ.items() if _PROXIES.fullmatch(name)]
    settings = [sources(), apt_settings(), pip_settings_text(), *proxies]
    defaults = attempt(sys.executable, "-c", _PIP_DEFAULTS).stdout.split()
    return sorted({*_URL.findall("\n".join(settings)), *defaults})


@cache
def pip_settings_text() -> str:
    """Files' and variables' together, as pip itself lists them."""
    return attempt(sys.executable, "-m", "pip", "config", "list").stdout


def cgroup_roots() -> list[Path]:
    """Where each host gets a cgroup of its own: the unified tree, or that and systemd's own where both are mounted."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return [Path("/sys/fs/cgroup")]
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [
        Path(words[1]) for words in mounts
        if words[2] == "cgroup2" or (words[2] == "cgroup" and "name=systemd" in words[3].split(","))
    ]  # fmt: skip


def mtu() -> int:
    """The outside interface's: with more, long answers would never arrive."""
    route = re.search(r" dev (\S+)", run("ip", "-4", "route", "show", "default"))
    path = Path(f"/sys/class/net/{route[1]}/mtu") if route else None
    return min(1500, int(path.read_text())) if path and path.exists() else 1500
