"""What is in the base tree: a minimal Debian with systemd, sshd and what Ansible leans on.

A change of this file makes every machine build its base anew.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from e2e.hosts import machine, pip_settings
from e2e.hosts.commands import run

_BUILD_S = 1800
# python3-apt: Ansible's apt module would otherwise install it by itself.  libpam-systemd: sessions, and so user units.
_PACKAGES = (
    "ca-certificates", "dbus", "iproute2", "libpam-systemd", "netbase", "openssh-server", "procps", "python3",
    "python3-apt", "python3-venv", "sudo", "systemd", "systemd-sysv",
)  # fmt: skip
# The first two would hold dpkg's lock under a play; the others have nothing to do here.
_MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "console-getty.service", "getty@tty1.service",
)  # fmt: skip
_CERTIFICATES = "usr/local/share/ca-certificates"
_TOLD = re.compile(
    r"(SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|NODE_EXTRA_CA_CERTS|(https?|no)_proxy)", re.IGNORECASE
)


def fill(tree: Path, debs: Path, public_key: str) -> None:
    """Install into the empty folder ``tree``; packages are kept in ``debs`` for the next time."""
    found = machine.mirror()
    assert found
    address, suite = found
    options = ["--variant=minbase", f"--cache-dir={debs}", f"--include={','.join(_PACKAGES)}"]
    run("debootstrap", *options, suite, tree, address, timeout=_BUILD_S)
    _inherit(tree)
    _update(tree)
    _tidy(tree)
    _logins(tree, public_key)


def ingredients() -> bytes:
    """All that the result depends on, but for the packages' versions."""
    files = [Path(__file__), Path(pip_settings.__file__), *_certificates(), *pip_settings.named_files()]
    texts = [machine.sources(), machine.apt_settings(), machine.pip_settings_text(), _variables()]
    return b"".join([path.read_bytes() for path in files] + [text.encode() for text in texts])


def _inherit(tree: Path) -> None:
    """What package tools need to know to reach here what they reach outside."""
    (tree / "etc/apt/sources.list").unlink(missing_ok=True)
    (tree / "etc/apt/sources.list.d/debian.sources").write_text(machine.sources())
    (tree / "etc/apt/apt.conf.d/90inherited").write_text(f'{machine.apt_settings()}Acquire::Languages "none";\n')
    (tree / "etc/resolv.conf").write_text(machine.resolvers())
    for path in _certificates():
        shutil.copy(path, tree / _CERTIFICATES)
    run("chroot", tree, "update-ca-certificates")
    pip_settings.write(tree)
    # For programs with certificates of their own; PAM reads it at each login and for sudo, services do not.
    with open(tree / "etc/environment", "a") as file:
        file.write(_variables())


def _update(tree: Path) -> None:
    """Security updates.  Nothing may be started meanwhile: no systemd runs in there."""
    policy = tree / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    apt = "apt-get -q update && apt-get -qy dist-upgrade && apt-get clean"
    run("chroot", tree, "env", "DEBIAN_FRONTEND=noninteractive", "sh", "-ec", apt, timeout=_BUILD_S)
    policy.unlink()


def _tidy(tree: Path) -> None:
    """No package lists, as on an image of a cloud: a role that forgets to fetch them must fail."""
    lists = tree / "var/lib/apt/lists"
    for path in (lists, tree / "var/lib/apt/periodic"):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        os.utime(path, (946684800, 946684800))  # long ago: a new folder would look like lists that were just fetched
    for path in [*tree.glob("var/cache/apt/*.bin"), *tree.glob("etc/ssh/ssh_host_*")]:
        path.unlink()
    (tree / "etc/machine-id").unlink(missing_ok=True)
    for unit in _MASKED:
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")


def _logins(tree: Path, public_key: str) -> None:
    """``root`` and ``deploy`` by key; ``deploy`` has sudo without a password."""
    run("chroot", tree, "useradd", "--create-home", "--shell", "/bin/bash", "deploy")
    for home in (tree / "root", tree / "home/deploy"):
        ssh = home / ".ssh"
        ssh.mkdir(exist_ok=True)
        ssh.chmod(0o700)
        (ssh / "authorized_keys").write_text(public_key)
    run("chroot", tree, "chown", "-R", "deploy:", "/home/deploy/.ssh")
    sudo = tree / "etc/sudoers.d/deploy"
    sudo.write_text("deploy ALL=(ALL) NOPASSWD: ALL\n")
    sudo.chmod(0o440)
    (tree / "etc/ssh/sshd_config.d/local.conf").write_text("UseDNS no\n")


def _certificates() -> list[Path]:
    return sorted(Path("/", _CERTIFICATES).glob("*.crt"))


def _variables() -> str:
    """Those that tell programs about certificates and proxies."""
    return "".join(f"{name}={value}\n" for name, value in sorted(os.environ.items()) if _TOLD.fullmatch(name))
