"""What the tests of provisioning share: the makers' servers, and bare hosts."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.hosts import Host, Hosts
from e2e.provision.site import Site
from stand_ins.provision import cuda_runfile, cudnn_archive, ibl_server
from stand_ins.provision.download_server import DownloadServer

from iblvideo_admin import toolchains

ROOT = Path(__file__).resolve().parents[3]
PYTHON37_AT = "/opt/python3.7"
SESSIONS = "/mnt/s0/Data/Subjects"
Bare = Callable[..., Host]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def described(version: str) -> dict[str, Any]:
    """What the project's own files say of a CUDA version and its cuDNN."""
    files = {"10.0": "dlc-tf1-cuda10.0.yml", "11.8": "sources/cuda-11.8.yml"}
    return dict(yaml.safe_load((toolchains.FOLDER / files[version]).read_text(encoding="utf-8")))


class Makers:
    """NVIDIA's server and the IBL's, with stand-ins for what they offer, under the real addresses' paths."""

    def __init__(self, server: DownloadServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.definitions: dict[str, Any] = {}

    def offer(self, version: str, runfile: Path, cudnn: Path) -> dict[str, Any]:
        """Publish them; gives ``cuda_definitions`` that lead here, with checksums of what is really there."""
        real = described(version)
        self.definitions[version] = {
            name: {"url": self.server.publish(real[name]["url"], path), "sha256": sha256(path)}
            for name, path in (("cuda", runfile), ("cudnn", cudnn))
        }
        return self.definitions


@pytest.fixture(scope="session")
def stand_in_archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Installer and cuDNN of each CUDA version."""
    folder = tmp_path_factory.mktemp("archives")
    return {
        "10.0": (cuda_runfile.make(folder), cudnn_archive.make(folder)),
        "11.8": (
            cuda_runfile.make(folder, cuda_runfile.CUDA_11_8),
            cudnn_archive.make(folder, cudnn_archive.CUDNN_8_6_0),
        ),
    }


@pytest.fixture
def makers(hosts: Hosts, tmp_path: Path, stand_in_archives: dict[str, tuple[Path, Path]]) -> Iterator[Makers]:
    """The makers' servers where hosts can reach them; also the IBL's, which asks for a login."""
    folder = tmp_path / "makers"
    folder.mkdir()
    with DownloadServer(
        address=hosts.controller_address, logins={"/resources/": (ibl_server.USER, ibl_server.PASSWORD)}
    ) as server:
        found = Makers(server, folder)
        for version, (runfile, cudnn) in stand_in_archives.items():
            found.offer(version, runfile, cudnn)
        server.publish(ibl_server.CUDNN, stand_in_archives["10.0"][1])
        yield found


@pytest.fixture
def bare(hosts: Hosts, makers: Makers, python37: str) -> Iterator[Bare]:
    """A function that boots a host that has a place for sessions and nothing else; it may reach the makers."""
    booted: list[Host] = []

    def boot(**given: Any) -> Host:
        host = hosts.boot(**{"bind_ro": {python37: PYTHON37_AT}, **given})
        booted.append(host)
        host.allow_controller_port(int(makers.server.base.rpartition(":")[2]))
        (host.root / SESSIONS.lstrip("/")).mkdir(parents=True)
        return host

    yield boot
    for host in booted:
        host.destroy()


@pytest.fixture(scope="session")
def python37() -> str:
    """The folder of a Python 3.7 of this machine, which hosts are given as a lab's server has one."""
    sys.path.insert(0, str(ROOT / "roles/python/files"))
    import find_python37

    found = find_python37.find()["python"]
    if not found:
        pytest.skip("SKIPPED: there is no Python 3.7 here to give to the hosts")
    return str(Path(found).resolve().parent.parent)


@pytest.fixture
def site(hosts: Hosts, makers: Makers, tmp_path: Path) -> Callable[..., Site]:
    """A function that makes a site of hosts, with an inventory that a small lab without a GPU would write."""

    def make(*servers: Host, **variables: Any) -> Site:
        given: dict[str, Any] = {
            "toolchain": "dlc-tf1-cpu",
            "gpu_expected": False,
            "cuda_versions": ["10.0"],
            "cuda_definitions": makers.definitions,
            "weights_source": str(ROOT / "iblvideo_admin/demo/weights"),
            "weights_name": "demo",
            "python37_executable": f"{PYTHON37_AT}/bin/python3.7",
        }
        return Site(hosts, tmp_path / "site", servers, **{**given, **variables})

    return make
