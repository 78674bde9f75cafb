"""Hosts that say that they are of another distribution: roles believe a host's own files."""

from __future__ import annotations

from e2e.hosts import Host

_UBUNTU = (
    'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu {0} LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="{0}"\n'
    'VERSION="{0} LTS ({1})"\nVERSION_CODENAME={2}\n'
)
_DEBIAN = (
    'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux {0} ({1})"\nID=debian\nVERSION_ID="{0}"\n'
    'VERSION="{0} ({1})"\nVERSION_CODENAME={1}\n'
)
_RELEASES = {
    "Ubuntu 20.04": _UBUNTU.format("20.04", "Focal Fossa", "focal"),
    "Ubuntu 22.04": _UBUNTU.format("22.04", "Jammy Jellyfish", "jammy"),
    "Debian 13": _DEBIAN.format("13", "trixie"),
}


def pretend(host: Host, release: str) -> None:
    """From now on this host says that it runs this."""
    path = host.root / "etc/os-release"
    path.unlink()
    path.write_text(_RELEASES[release])
    name, version = release.split()
    if name == "Debian":
        (host.root / "etc/debian_version").write_text(f"{version}.1\n")
