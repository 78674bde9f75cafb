"""One host: its tree, its namespace, its boots, and a way in."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from e2e.hosts import keeper, pip_settings
from e2e.hosts.cgroup import Cgroup
from e2e.hosts.claims import Run
from e2e.hosts.commands import Failed, attempt, environment, run
from e2e.hosts.machine import resolvers
from e2e.hosts.network import Egress, Network

MOST = 60
_BOOT_S = 120.0
_FIRST = 10
_SSH_FAILED = 255
# The host sees cgroups in their unified form whatever this machine mounts, and may set sysctls of its own network.
_NSPAWN_ENVIRONMENT = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
_NSPAWN = (
    "systemd-nspawn", "--boot", "--quiet", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off",
    "--link-journal=no", "--console=passive", "--capability=CAP_NET_ADMIN,CAP_IPC_LOCK",
)  # fmt: skip


class Host:
    """The ``number``-th of a run.  Made by :meth:`Hosts.boot`; ``gone`` is called when it is destroyed."""

    def __init__(
        self,
        of: Run,
        network: Network,
        number: int,
        *,
        bind_ro: Mapping[str, str] | None = None,
        gone: Callable[[Host], None] = lambda _: None,
    ) -> None:
        self.name = f"{of.prefix}-{number}"
        self.address = network.address(_FIRST + number)
        self.number = number
        self.folder = of.hosts_folder / self.name
        self.root = self.folder / "root"
        self._run, self._network, self._gone = of, network, gone
        self._binds = dict(bind_ro or {})
        self._cgroup = Cgroup(self.name)
        self._keeper: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"

    def create(self, base: Path) -> None:
        """A tree over ``base`` with an identity of its own, and its place in the network."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        # volatile: dpkg syncs hundreds of times, and the host is thrown away in the end
        layers = f"lowerdir={base},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        mount = ("mount", "-t", "overlay", self.name)
        if attempt(*mount, "-o", f"{layers},volatile", self.root).returncode:
            run(*mount, "-o", layers, self.root)
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "machine-id").write_text(f"{secrets.token_hex(16)}\n")
        (etc / "resolv.conf").write_text(resolvers())
        names = (f"{self._network.address(_FIRST + n)} {self._run.prefix}-{n}\n" for n in range(1, MOST + 1))
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n" + "".join(names))
        key = etc / "ssh/ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{self.name}", "-f", key)
        # A Python that is bound somewhere else does not find its own library where it was built to look.
        libraries = [f"{there}/lib\n" for here, there in self._binds.items() if any(Path(here, "lib").glob("lib*.so*"))]
        if libraries:
            (etc / "ld.so.conf.d/bound.conf").write_text("".join(libraries))
        self._network.join(self.name, _FIRST + self.number)

    def known_host(self) -> str:
        """Its line of a known_hosts file."""
        public = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        return f"{self.name} {public[0]} {public[1]}\n"

    def ssh(
        self,
        *argv: str,
        user: str = "deploy",
        check: bool = True,
        input: str | None = None,  # noqa: A002  as subprocess calls it
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there; its words arrive as they are."""
        words = ["ssh", "-F", str(self._run.ssh_config), f"{user}@{self.name}", shlex.join(argv)]
        done = attempt(*words, given=input, timeout=timeout)
        if check and done.returncode:
            raise Failed(done.returncode, done.args, done.stdout, done.stderr)
        return done

    def running(self) -> bool:
        """Whether anything runs in it."""
        return bool(self._cgroup.pids())

    def boot(self) -> None:
        """Boot the tree as it is, and wait until that is over, well or not."""
        if self.running():
            raise RuntimeError(f"{self.name} runs already")
        self._end_masters()
        self._cgroup.make()
        binds = {str(folder): str(folder) for folder in pip_settings.folders()} | self._binds
        nspawn = [*_NSPAWN, f"--machine={self.name}", f"--directory={self.root}"]
        nspawn += [f"--network-namespace-path=/run/netns/{self.name}"]
        nspawn += [f"--bind-ro={here}:{there}" for here, there in binds.items()]
        cgroups = map(str, self._cgroup.folders)
        with open(self.folder / "console.log", "ab") as console:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, str(self._counter), *cgroups, "--", "/usr/bin/env", *nspawn],
                env=environment() | _NSPAWN_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._wait()

    def reboot(self) -> None:
        """As an administrator does it; returns when it is up again."""
        before = keeper.boots(self._counter)
        self.ssh("systemctl", "reboot", user="root", check=False)
        until = time.monotonic() + _BOOT_S
        while keeper.boots(self._counter) == before:
            if time.monotonic() > until or self._ended():
                raise RuntimeError(f"{self.name} does not reboot{self._last_words()}")
            time.sleep(0.05)
        self._end_masters()
        self._wait()

    def power_off_hard(self) -> None:
        """A power cut, except that what was written and not synced is kept; :meth:`boot` boots the same tree again."""
        self._cgroup.kill()
        self._cgroup.remove()
        if self._keeper:
            self._keeper.wait()

    def egress(self, kind: Egress) -> None:
        """What it may reach besides the controller's questions: see :class:`Network`."""
        self._network.egress(self.address, kind)

    def allow_controller_port(self, port: int) -> None:
        """Let it connect to this TCP port of the controller's address, whatever else it may reach."""
        self._network.allow_port(self.address, port)

    def destroy(self) -> None:
        """Leave nothing of it, running or not, whole or half made."""
        self._end_masters()
        self.power_off_hard()
        self._network.leave(self.name, _FIRST + self.number)
        self._unmount()
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{self.name}", ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._gone(self)

    @property
    def _counter(self) -> Path:
        return self.folder / "boots"

    def _ended(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is not None

    def _wait(self) -> None:
        """Until ssh answers and systemd has started what it can."""
        until = time.monotonic() + _BOOT_S
        words = ("ldconfig; systemctl is-system-running --wait",)
        while time.monotonic() < until and not self._ended():
            if not self._listens():
                time.sleep(0.05)
                continue
            with suppress(subprocess.TimeoutExpired):
                if self.ssh("sh", "-c", *words, user="root", check=False, timeout=60).returncode != _SSH_FAILED:
                    return
        raise RuntimeError(f"{self.name} did not boot{self._last_words()}")

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((self.address, 22), timeout=1):
            return True
        return False

    def _last_words(self) -> str:
        lines = (self.folder / "console.log").read_text(errors="replace").splitlines()
        return ":\n" + "\n".join(lines[-15:])

    def _end_masters(self) -> None:
        """Connections of Ansible's that still wait for the host as it was before."""
        for path in self._run.sockets.glob(f"*@{self.name}"):
            attempt("ssh", "-o", f"ControlPath={path}", "-O", "exit", "x")

    def _unmount(self) -> None:
        for _ in range(50):
            if not os.path.ismount(self.root):
                return
            if attempt("umount", self.root).returncode:
                time.sleep(0.05)
        run("umount", "--lazy", self.root)
