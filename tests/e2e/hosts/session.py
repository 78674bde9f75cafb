"""All hosts of one run, for as long as a test session, or a developer, wants them."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from e2e.hosts import base, claims
from e2e.hosts.host import MOST, Host
from e2e.hosts.machine import missing
from e2e.hosts.network import Egress, Network

_SSH_CONFIG = """\
Host {prefix}-*
  User deploy
  IdentityFile "{key}"
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile "{known_hosts}"
  GlobalKnownHostsFile /dev/null
  LogLevel ERROR
  ConnectTimeout 10
  ServerAliveInterval 5
  ServerAliveCountMax 6
"""


class Hosts:
    """Hosts whose files are in ``folder``, on a network of their own.  Everything goes at :meth:`close`, or at exit."""

    def __init__(self, folder: Path, ident: str = "ia", *, keep: bool = False) -> None:
        if reason := missing():
            raise RuntimeError(reason)
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        with claims.lock():
            remove_dead()
            self.run = claims.claim(self.folder, ident, keep=keep)
        self._closer = None if keep else os.getpid()
        self._hosts: dict[int, Host] = {}
        self._lock = threading.RLock()
        atexit.register(self.close)
        self.network = Network(self.run.prefix, self.run.number)
        self.controller_address = self.network.controller_address
        self.network.open()

    def __enter__(self) -> Hosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def base(self) -> Path:
        """The read-only tree under every host; made once, which takes two minutes."""
        return base.base()

    def boot(self, *, bind_ro: Mapping[str, str] | None = None, egress: Egress = "registries") -> Host:
        """A fresh host.  ``bind_ro``: folders of this machine, and where they are to be seen in the host."""
        tree = self.base()
        with self._lock:
            number = min(set(range(1, MOST + 1)) - set(self._hosts))
            host = Host(self.run, self.network, number, bind_ro=bind_ro, gone=self._forget)
            self._hosts[number] = host
        try:
            with self._lock:
                host.create(tree)
                self._write_config()
            host.egress(egress)
            host.boot()
        except BaseException:
            host.destroy()
            raise
        return host

    def inventory(self, path: Path, hosts: Sequence[Host], **variables: Any) -> Path:
        """An inventory of the group ``iblvideo_servers``; ``variables`` keep their types."""
        import yaml

        given: dict[str, Any] = {
            "ansible_user": "deploy",
            "ansible_become": True,
            "ansible_ssh_common_args": f"-F {shlex.quote(str(self.run.ssh_config))}",
            # Not in the folder of everybody's: a connection to a host of this name that is gone would be used again.
            "ansible_control_path": f"{self.run.sockets}/%%r@%%n",
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        names: dict[str, Any] = {host.name: {} for host in hosts}
        path.write_text(yaml.safe_dump({"iblvideo_servers": {"hosts": names, "vars": given}}, sort_keys=False))
        return path

    def close(self) -> None:
        """Destroy every host, and leave nothing on this machine."""
        if self._closer != os.getpid():  # done, not wanted, or in a fork
            return
        self._closer = None
        atexit.unregister(self.close)
        with ExitStack() as after:  # each, whatever becomes of the others
            after.callback(self._remove)
            for host in list(self._hosts.values()):
                after.callback(host.destroy)

    def _remove(self) -> None:
        with claims.lock():
            remove(self.run)

    def _forget(self, host: Host) -> None:
        with self._lock:
            self._hosts.pop(host.number, None)
        self._write_config()

    def _write_config(self) -> None:
        with self._lock:
            there = [host for host in self._hosts.values() if (host.root / "etc/ssh").is_dir()]
            known_hosts = self.folder / "known_hosts"
            common = _SSH_CONFIG.format(prefix=self.run.prefix, key=base.key(), known_hosts=known_hosts)
            each = (f"Host {host.name}\n  HostName {host.address}\n  HostKeyAlias {host.name}\n" for host in there)
            _replace(known_hosts, "".join(host.known_host() for host in there))
            _replace(self.run.ssh_config, "".join(each) + common)


def remove_dead(*, kept: bool = False) -> None:
    """What runs have left whose owner is gone; ``kept``: what nobody owns, too.  Call it with the lock held."""
    for run in claims.runs():
        if not run.alive() or (kept and run.owner == claims.KEPT):
            try:
                remove(run)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"what run {run.number} of test hosts left cannot be removed: {error}", file=sys.stderr)


def remove(run: claims.Run) -> None:
    """Everything of a run, by its names alone."""
    network = Network(run.prefix, run.number)
    for host in hosts_of(run):
        host.destroy()
    network.close()
    shutil.rmtree(run.hosts_folder, ignore_errors=True)
    for name in ("known_hosts", "ssh_config"):
        (Path(run.folder) / name).unlink(missing_ok=True)
    claims.release(run)


def hosts_of(run: claims.Run) -> list[Host]:
    """As their folders tell."""
    network = Network(run.prefix, run.number)
    numbers = sorted(int(path.name.rpartition("-")[2]) for path in run.hosts_folder.glob(f"{run.prefix}-*"))
    return [Host(run, network, number) for number in numbers]


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.replace(path)
