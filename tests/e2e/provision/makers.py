"""The servers that archives come from, with stand-ins for what they offer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from e2e.hosts import Hosts
from stand_ins.provision import ibl_server
from stand_ins.provision.download_server import DownloadServer

from iblvideo_admin import toolchains

ROOT = Path(__file__).resolve().parents[3]
PYTHON37_AT = "/opt/python3.7"
SESSIONS = "/mnt/s0/Data/Subjects"
Archives = dict[str, tuple[Path, Path]]
"""CUDA version -> its installer and its cuDNN."""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def described(version: str) -> dict[str, Any]:
    """What the project's own files say of a CUDA version and its cuDNN."""
    files = {"10.0": "dlc-tf1-cuda10.0.yml", "11.8": "sources/cuda-11.8.yml"}
    return dict(yaml.safe_load((toolchains.FOLDER / files[version]).read_text(encoding="utf-8")))


class Makers:
    """NVIDIA's server and the IBL's, with stand-ins for what they offer, under the real addresses' paths."""

    def __init__(self, server: DownloadServer) -> None:
        self.server = server
        self.definitions: dict[str, Any] = {}

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.base.rpartition(":")[2])

    def variables(self) -> dict[str, Any]:
        """The inventory that a small lab without a GPU would write."""
        return {
            "toolchain": "dlc-tf1-cpu",
            "gpu_expected": False,
            "cuda_versions": ["10.0"],
            "cuda_definitions": self.definitions,
            "weights_source": str(ROOT / "iblvideo_admin/demo/weights"),
            "weights_name": "demo",
            "python37_executable": f"{PYTHON37_AT}/bin/python3.7",
        }

    def offer(self, version: str, runfile: Path, cudnn: Path) -> dict[str, Any]:
        """Publish them; gives ``cuda_definitions`` that lead here, with checksums of what is really there."""
        real = described(version)
        self.definitions[version] = {
            name: {"url": self.server.publish(real[name]["url"], path), "sha256": sha256(path)}
            for name, path in (("cuda", runfile), ("cudnn", cudnn))
        }
        return self.definitions


@contextmanager
def serving(hosts: Hosts, archives: Archives) -> Iterator[Makers]:
    """The makers' servers where hosts can reach them; also the IBL's, which asks for a login."""
    logins = {"/resources/": (ibl_server.USER, ibl_server.PASSWORD)}
    with DownloadServer(address=hosts.controller_address, logins=logins) as server:
        found = Makers(server)
        for version, (runfile, cudnn) in archives.items():
            found.offer(version, runfile, cudnn)
        server.publish(ibl_server.CUDNN, archives["10.0"][1])
        yield found
