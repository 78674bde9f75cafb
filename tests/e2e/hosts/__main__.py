"""The command for developers: see the package's own description."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

if not __package__:  # `python tests/e2e/hosts`: the folder itself is no place to import from
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import e2e.hosts
from e2e.hosts import Hosts, claims, missing
from e2e.hosts.base import base
from e2e.hosts.session import hosts_of, remove_dead


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests/e2e/hosts", description=e2e.hosts.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("count", type=int, nargs="?", default=1)
    up.add_argument("--egress", choices=["registries", "none"], default="registries")
    up.add_argument("--bind-ro", action="append", default=[], metavar="HERE:THERE")
    for name in ("down", "status", "base"):
        commands.add_parser(name)
    ssh = commands.add_parser("ssh")
    ssh.add_argument("name")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    given = parser.parse_args()
    if (reason := missing()) and given.command != "down":
        print(reason, file=sys.stderr)
        return 0 if given.command == "base" else 1  # `make test` goes on without hosts: its tests say so, too
    if given.command == "base":
        base()
    elif given.command == "up":
        return _up(given.count, given.egress, dict(pair.split(":", 1) for pair in given.bind_ro))
    elif given.command == "down":
        if claims.SHARED.exists() and not os.geteuid():
            with claims.lock():
                remove_dead(kept=True)
    elif given.command == "status":
        _status()
    else:
        return _ssh(given.name, given.words)
    return 0


def _up(count: int, egress: e2e.hosts.Egress, bind_ro: dict[str, str]) -> int:
    folder = claims.SHARED / "up"
    if any(run.folder == str(folder) for run in claims.runs()):
        print("there are hosts already; `down` removes them", file=sys.stderr)
        return 1
    hosts = Hosts(folder, keep=True)
    made = [hosts.boot(bind_ro=bind_ro, egress=egress) for _ in range(count)]
    for host in made:
        print(host.name, host.address)
    print(f"ansible all -i {hosts.inventory(folder / 'inventory.yml', made)} -m ping")
    return 0


def _status() -> None:
    for run in claims.runs():
        owner = f"of process {run.owner.split()[0]}" if run.owner else "kept"
        print(f"run {run.number}: {owner if run.alive() else 'left behind'}, {run.folder}")
        for host in hosts_of(run):
            print(f"  {host.name} {host.address} {'up' if host.running() else 'off'}")


def _ssh(name: str, words: list[str]) -> int:
    for run in claims.runs():
        if name.startswith(f"{run.prefix}-"):
            os.execvp("ssh", ["ssh", "-F", str(run.ssh_config), name, *words])  # noqa: S606, S607
    print(f"no run has a host {name}; `status` lists them", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
