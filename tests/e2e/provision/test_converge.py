"""A bare server becomes one that tracks, a second run changes nothing, and the service does its work.

One host goes through it all; the tests here are the stations of its way, in their order.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.hosts import Host, Hosts
from e2e.provision.conftest import SESSIONS, Bare, Makers
from e2e.provision.listing import listing
from e2e.provision.site import Said, Site
from stand_ins.provision import ibl_server

from iblvideo_admin.demo.session import render_session
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1800)]

SECRETS = ("a-word-for-the-data-server", "a-word-for-alyx")
BACKLOG, NEW = f"{SESSIONS}/KS001/2026-01-15/001", f"{SESSIONS}/KS001/2026-01-16/001"
# What belongs to the system or to others: nothing of it may be changed.
OTHERS = ("etc/ld.so.conf.d", "etc/profile", "etc/profile.d", "etc/bash.bashrc", "etc/environment", "etc/apt/sources.list.d",
          "home/deploy/.bashrc", "home/deploy/.profile", "root/.bashrc", "usr/local/cuda", "usr/local/cuda-9.2")  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the drawn mouse from the body camera."""
    session = tmp_path_factory.mktemp("recording") / "session"
    render_session(session, ["body"], seconds=1.0)
    return session / "raw_video_data"


@pytest.fixture(scope="module")
def host(hosts: Hosts, python37: str) -> Iterator[Host]:
    host = hosts.boot(bind_ro={python37: "/opt/python3.7"})
    yield host
    host.destroy()


class Way:
    """What the stations hand on to each other."""

    before: dict[str, tuple[object, ...]]
    first: Said


@pytest.fixture(scope="module")
def way() -> Way:
    return Way()


@pytest.fixture
def lab(site: Callable[..., Site], makers: Makers, host: Host) -> Site:
    host.allow_controller_port(int(makers.server.base.rpartition(":")[2]))
    return site(
        host,
        base_group_members=["deploy"],
        cudnn_from="ibl",
        data_server_url=makers.server.base,
        data_server_user=ibl_server.USER,
        data_server_password=ibl_server.PASSWORD,
        one_alyx_login="lab_server",
        one_alyx_password=SECRETS[1],
        dlc_env_links=["/home/deploy/Documents/PYTHON/envs/dlc"],
    )
