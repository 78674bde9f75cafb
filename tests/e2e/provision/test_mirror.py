"""A server that reaches nothing but us becomes ready from the mirror folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.hosts import Hosts
from e2e.provision.converged import Converged
from e2e.provision.makers import PYTHON37_AT, SESSIONS
from e2e.provision.site import Site

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(2400), pytest.mark.full]


def test_a_server_without_any_network(converged: Converged, hosts: Hosts, python37: str, tmp_path: Path) -> None:
    folder = tmp_path / "a mirror"
    made = converged.site.play("playbooks/mirror.yml", mirror_to=str(folder)).good()
    manifest = json.loads((folder / "MANIFEST.json").read_text())["files"]
    size = sum(file["bytes"] for file in manifest.values())
    print(f"mirror of {len(manifest)} files, {size / 1e6:.0f} MB, made in {made.seconds:.0f} s")
    assert not (converged.host.root / "opt/iblvideo/.iblvideo-mirror").exists()

    alone = hosts.boot(bind_ro={python37: PYTHON37_AT}, egress="none")
    try:
        alone.ssh("sudo", "mkdir", "-p", SESSIONS)
        assert alone.ssh("sudo", "apt-get", "-q", "update", "--error-on=any", check=False).returncode != 0
        sources = alone.ssh("sh", "-c", "cat /etc/apt/sources.list.d/*").stdout
        site = Site(hosts, tmp_path / "site", [alone], **{**converged.site.variables, "mirror_dir": str(folder)})
        first = site.play().good()
        print(f"first run without network {first.seconds:.0f} s")
        assert "pass: 30 frames" in first.words
        assert site.play().good().changes() == []
        assert alone.ssh("sh", "-c", "cat /etc/apt/sources.list.d/*").stdout == sources
    finally:
        alone.destroy()


def test_a_folder_that_is_no_mirror_is_named(converged: Converged, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    said = converged.site.play("site.yml", "--tags", "base", mirror_dir=str(tmp_path / "half"))
    said.failed(f"mirror_dir is {tmp_path}/half", "has no MANIFEST.json", "playbooks/mirror.yml")
