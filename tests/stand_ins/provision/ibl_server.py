"""The IBL's download server: cuDNN and the networks under the paths where it has them, behind its members' login."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from stand_ins.provision import cudnn_archive
from stand_ins.provision.download_server import DownloadServer

from iblvideo_admin.demo import WEIGHTS

USER, PASSWORD = "iblmember", "for the tests only"
CUDNN = f"/resources/{cudnn_archive.CUDNN_7_6_5.file}"
NETWORKS = "/resources/dlc/weights_v2.1.zip"
_DATE = (2021, 1, 1, 0, 0, 0)


def lay_out(folder: Path, *, weights: Path = WEIGHTS, version: str = "2.1") -> Path:
    """A folder as the server's root: ``resources/`` with cuDNN and ``dlc/weights_vX.Y.zip``, the demo's networks."""
    cudnn_archive.make(folder / "resources")
    cudnn_archive.make(folder / "resources", cudnn_archive.eight("8.9.1.23"))
    (folder / "resources/dlc").mkdir()
    networks(folder / f"resources/dlc/weights_v{version}.zip", weights)
    return folder


def serve(folder: Path, address: str = "127.0.0.1", port: int = 0) -> DownloadServer:
    """A server over a folder that was laid out; what is under ``/public`` wants no login."""
    return DownloadServer(folder, address=address, port=port, logins={"/resources/": (USER, PASSWORD)})


def networks(archive: Path, weights: Path = WEIGHTS) -> str:
    """Pack networks as the IBL does, in a folder of the archive's name; returns the archive's SHA-256."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(path for path in weights.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(f"{archive.stem}/{path.relative_to(weights)}", _DATE)
            member.external_attr = 0o644 << 16
            packed.writestr(member, path.read_bytes())
    return hashlib.sha256(archive.read_bytes()).hexdigest()
