"""The network of a run: a bridge, and a guard that lets hosts reach their package registries or nothing."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal

from e2e.hosts.claims import SHARED, lock
from e2e.hosts.commands import attempt, run
from e2e.hosts.machine import mtu, registry_addresses

Egress = Literal["registries", "none"]
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")

# Frames between two hosts never leave the bridge: a table of bridges watches them.  It sees those of others, too.
_RULES = """
table inet {table} {{
  set online {{ type ipv4_addr; }}
  set registries {{ type ipv4_addr; }}
  set ports {{ type ipv4_addr . inet_service; }}
  chain outside {{
    type nat hook postrouting priority 100;
    ip saddr {subnet} oifname != "{bridge}" masquerade
  }}
  chain through {{
    type filter hook forward priority 0;
    iifname "{bridge}" oifname "{bridge}" accept
    oifname "{bridge}" ct state established,related accept
    iifname "{bridge}" ip saddr @online ip daddr @registries accept
    iifname "{bridge}" reject
    oifname "{bridge}" reject
  }}
  chain here {{
    type filter hook input priority 0;
    iifname "{bridge}" ct state established,related accept
    iifname "{bridge}" ip daddr {controller} ip saddr . tcp dport @ports accept
    iifname "{bridge}" reject
  }}
}}
table bridge {table} {{
  set online {{ type ipv4_addr; }}
  chain between {{
    type filter hook forward priority 0;
    iifname != "{ports}" accept
    ether type arp accept
    ether type ip ip saddr @online ip daddr @online accept
    drop
  }}
}}
"""


class Network:
    """``prefix`` names what is made; ``number`` chooses a subnet from the block that is set aside for measurements."""

    def __init__(self, prefix: str, number: int) -> None:
        self.bridge = f"{prefix}br"
        self._table = f"iblvideo_{prefix}"
        self._prefix, self._number = prefix, number
        self.controller_address = self.address(1)
        self.mtu = mtu()
        self._ports: dict[str, list[int]] = {}

    def __enter__(self) -> Network:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def address(self, last: int) -> str:
        """One of the subnet's."""
        return f"198.18.{self._number}.{last}"

    def mac(self, last: int) -> str:
        """Always the same for an address, or neighbours would go on asking for the one before.

        A bridge without one takes a port's, and changes it as ports come and go.
        """
        return f"02:00:c6:12:{self._number:02x}:{last:02x}"

    def open(self) -> None:
        """Make it; without a trace of an earlier one."""
        self.close()
        run("ip", "link", "add", self.bridge, "address", self.mac(1), "mtu", str(self.mtu), "type", "bridge")
        run("ip", "addr", "add", f"{self.controller_address}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        rules = _RULES.format(
            table=self._table,
            bridge=self.bridge,
            ports=_port(f"{self._prefix}-*"),
            subnet=f"{self.address(0)}/24",
            controller=self.controller_address,
        )
        run("nft", "-f", "-", given=rules)
        _forward(on=True)

    def close(self) -> None:
        """Remove it."""
        for family in ("inet", "bridge"):
            attempt("nft", "delete", "table", family, self._table)
        attempt("ip", "link", "del", self.bridge)
        _forward(on=False)

    def join(self, name: str, last: int) -> None:
        """A namespace ``name`` with one interface, whose other end is a port of the bridge."""
        ends = ("mtu", str(self.mtu), "type", "veth", "peer", "name", "eth0", "address", self.mac(last))
        run("ip", "netns", "add", name)
        run("ip", "link", "add", _port(name), *ends, "mtu", str(self.mtu), "netns", name)
        run("ip", "link", "set", _port(name), "master", self.bridge, "up")
        run("ip", "-n", name, "addr", "add", f"{self.address(last)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", name, "route", "add", "default", "via", self.controller_address)

    def leave(self, name: str, last: int) -> None:
        """Remove the port and the namespace, and what the address was allowed."""
        attempt("nft", "-f", "-", given=self._switch(self.address(last), "none"))
        for port in self._ports.pop(self.address(last), []):
            attempt("nft", "delete", "element", "inet", self._table, "ports", f"{{ {self.address(last)} . {port} }}")
        attempt("ip", "link", "del", _port(name))
        attempt("ip", "netns", "del", name)

    def egress(self, address: str, kind: Egress) -> None:
        """What a host may reach besides answering the controller; holds for connections that are open, too."""
        run("nft", "-f", "-", given=self._switch(address, kind))
        if kind == "registries" and (found := sorted(registry_addresses())):
            run("nft", "add", "element", "inet", self._table, "registries", f"{{ {', '.join(found)} }}")

    def _switch(self, address: str, kind: Egress) -> str:
        verbs = ("add",) if kind == "registries" else ("add", "delete")  # deleting what is not there would fail
        families = ("inet", "bridge")
        return "".join(f"{verb} element {f} {self._table} online {{ {address} }}\n" for verb in verbs for f in families)

    def allow_port(self, address: str, port: int) -> None:
        """Let a host connect to the controller's own address."""
        self._ports.setdefault(address, []).append(port)
        run("nft", "add", "element", "inet", self._table, "ports", f"{{ {address} . {port} }}")


def _port(name: str) -> str:
    return f"v-{name}"


def _forward(*, on: bool) -> None:
    """Switched on for the first network, and as it was after the last, unless others have bridges here by then."""
    before = SHARED / "ip_forward.before"
    with lock("forward.lock"):
        if on:
            if not before.exists():
                before.write_text(_FORWARD.read_text())
            _FORWARD.write_text("1")
        elif before.exists() and not run("ip", "-o", "link", "show", "type", "bridge").strip():
            _FORWARD.write_text(before.read_text())
            before.unlink()
