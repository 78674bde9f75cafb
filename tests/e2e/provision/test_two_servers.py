"""Two servers at once, and one of them gone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from e2e.hosts import Host
from e2e.provision.site import Site

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(2400), pytest.mark.full]


def test_two_at_once(bare: Callable[..., Host], site: Callable[..., Site]) -> None:
    with ThreadPoolExecutor() as pool:
        servers = list(pool.map(lambda _: bare(), range(2)))
    lab = site(*servers)
    first = lab.play().good()
    second = lab.play().good()
    print(f"two servers: first run {first.seconds:.0f} s, no-change run {second.seconds:.0f} s")
    assert second.changes() == []
    for host in servers:
        assert f"{host.name} pass dlc-tf1-cpu pass: 30 frames" in second.words

    gone, there = servers
    # the first has everything, the second lost it: the wheel is built for it alone
    there.ssh("sudo", "sh", "-c", "rm -r /opt/iblvideo/cli/*")
    lab.play("site.yml", "--tags", "base,iblvideo_admin").good()
    assert there.ssh("iblvideo-admin", "--version").stdout.strip()

    gone.power_off_hard()
    said = lab.play("playbooks/verify.yml").failed(f"{gone.name}: it does not answer")
    assert f"{there.name} pass" in said.words
    gone.boot()
    lab.play("playbooks/verify.yml").good()
