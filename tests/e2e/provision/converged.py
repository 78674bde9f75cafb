"""A server that a first run of site.yml has made ready, and what people and the rig then do on it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.hosts import Host, Hosts
from e2e.provision.listing import Look, listing
from e2e.provision.makers import PYTHON37_AT, SESSIONS, Archives, serving
from e2e.provision.site import Said, Site
from stand_ins.provision import ibl_server

BACKLOG = "KS001/2026-01-15/001"
VIDEO, TABLE = "raw_video_data/_iblrig_bodyCamera.raw.mp4", "alf/_ibl_bodyCamera.dlc.pqt"
ALYX_PASSWORD = "only for tests"  # noqa: S105  of no Alyx
# What belongs to the system or to others: nothing of it may be changed.
OTHERS = (
    *("etc/ld.so.conf.d", "etc/profile", "etc/profile.d", "etc/bash.bashrc", "etc/environment"),
    *("etc/apt/sources.list.d", "home/deploy/.bashrc", "home/deploy/.profile", "root/.bashrc"),
    *("usr/local/cuda", "usr/local/cuda-9.2"),
)
# What a first run makes or adds to.
OURS = ("opt", "usr/local", "etc/iblvideo-admin", "var/lib/iblvideo-admin", "etc/systemd")


@dataclass(frozen=True)
class Converged:
    """A host after its first run, and what it looked like before."""

    host: Host
    site: Site
    bare: Look
    """What is others', before anything."""
    before: Look
    """Where a first run makes something, before anything."""
    made_by_check: Look
    """What check mode changed."""
    check: Said
    first: Said


@contextmanager
def converge(hosts: Hosts, folder: Path, python37: str, archives: Archives, recording: Path) -> Iterator[Converged]:
    """Check mode on a bare host, then the first run, on a server with a backlog and somebody else's CUDA."""
    host = hosts.boot(bind_ro={python37: PYTHON37_AT})
    host.ssh("sudo", "mkdir", "-p", "/usr/local/cuda-9.2/lib64", SESSIONS)
    host.ssh("sudo", "ln", "-s", "cuda-9.2", "/usr/local/cuda")
    drop(host, recording, BACKLOG)
    with serving(hosts, archives) as makers:
        host.allow_controller_port(makers.port)
        site = Site(
            hosts,
            folder,
            [host],
            **makers.variables(),
            base_group_members=["deploy"],
            cudnn_from="ibl",
            data_server_url=makers.server.base,
            data_server_user=ibl_server.USER,
            data_server_password=ibl_server.PASSWORD,
            one_alyx_login="lab_server",
            one_alyx_password=ALYX_PASSWORD,
            dlc_env_links=["/home/deploy/Documents/PYTHON/envs/dlc"],
        )
        others, ours = listing(host.root, OTHERS), listing(host.root, OURS)
        check = site.play("site.yml", "--check")
        after = listing(host.root, OURS)
        first = site.play()
        print(f"check mode {check.seconds:.0f} s, first run {first.seconds:.0f} s")
        made = {name: look for name, look in after.items() if ours.get(name) != look}
        yield Converged(host, site, others, ours, made, check, first)
    host.destroy()


def drop(host: Host, recording: Path, session: str) -> None:
    """A session arrives as the rig's transfer brings it: the flag comes last."""
    folder = f"{SESSIONS}/{session}"
    target = host.root / f"{folder}/{VIDEO}".lstrip("/")
    host.ssh("sudo", "mkdir", "-p", str(Path(f"{folder}/{VIDEO}").parent))
    target.write_bytes(recording.read_bytes())
    host.ssh("sudo", "touch", f"{folder}/raw_session.flag")
    host.ssh("sudo", "chown", "-R", "deploy:", SESSIONS)
    host.ssh("sudo", "chmod", "-R", "a+rwX", SESSIONS)


def told(host: Host, *words: str) -> dict[str, Any]:
    """What the installed command answers to a member of the group."""
    done = host.ssh("iblvideo-admin", *words, "--json", check=False)
    return dict(json.loads(done.stdout))


def wait_for(host: Host, session: str, limit_s: float = 240) -> None:
    """Until the service has tracked it."""
    until = time.monotonic() + limit_s
    while not (host.root / f"{SESSIONS}/{session}/{TABLE}".lstrip("/")).exists():
        assert time.monotonic() < until, (
            told(host, "status"),
            host.ssh("sudo", "journalctl", "-u", "iblvideo-admin").stdout,
        )
        time.sleep(1)
