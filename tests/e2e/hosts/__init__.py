"""Real test hosts: Debian with its own systemd, sshd and address, made in two seconds and thrown away again.

Each is a systemd-nspawn container in its own network namespace, on an overlay over one read-only base tree that all
share.  It takes root, overlayfs, network namespaces and cgroups; neither a container engine nor systemd as PID 1.

    with Hosts(tmp_path) as hosts:
        host = hosts.boot()
        host.ssh("sudo", "systemctl", "is-system-running")
        hosts.inventory(tmp_path / "inventory.yml", [host], toolchain="dlc-tf1-cpu")

For developers, as root:

    .venv/bin/python tests/e2e/hosts up 2            # boots two that stay, and says where their inventory is
    .venv/bin/python tests/e2e/hosts ssh ia0-1 [COMMAND]
    .venv/bin/python tests/e2e/hosts status          # every run's, a test's that is waiting in a debugger among them
    .venv/bin/python tests/e2e/hosts down            # what `up` made, and what runs that died left behind
    .venv/bin/python tests/e2e/hosts base            # only makes the base tree, two minutes once

The base tree and the list of runs are in /var/tmp/iblvideo-admin-hosts (or $IBLVIDEO_ADMIN_TEST_HOSTS_DIR, a short
path: sockets lie there).  After `down` it may be deleted.
"""

from e2e.hosts.host import Host
from e2e.hosts.machine import missing
from e2e.hosts.network import Egress, Network
from e2e.hosts.session import Hosts

__all__ = ["Egress", "Host", "Hosts", "Network", "missing"]
