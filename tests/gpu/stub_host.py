"""A host below a folder whose CUDA, cuDNN and driver are stubs."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from stand_ins import cuda_libraries as stubs

from iblvideo_admin.gpu.checks import libraries
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.gpu.libraries import CACHE
from iblvideo_admin.gpu.sysroot import Sysroot
from iblvideo_admin.settings import Settings

SYSTEM = "usr/lib/x86_64-linux-gnu"


class Host:
    """A host below a folder: CUDA, the driver's library, and an environment with TensorFlow's files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        self.cuda, self.system = self.root / "usr/local/cuda-10.0", self.root / SYSTEM
        self.lib64, self.cupti = self.cuda / "lib64", self.cuda / "extras/CUPTI/lib64"
        self.environment = folder / "env"
        self.tensorflow = self.environment / "lib/python3.7/site-packages/tensorflow"

    def check(self, driver: str | None = stubs.DRIVER_VERSION, cuda_root: str | None = None) -> Finding:
        settings = Settings(
            dlc_python=self.environment / "bin/python", cuda_root=Path(cuda_root) if cuda_root else None
        )
        return libraries.check(Context(settings, stubs.TOOLCHAIN, Inventory((), driver), Sysroot(self.root)))

    def write(self, absolute: str, content: str | bytes) -> None:
        path = self.root / absolute.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def cached(self, paths: dict[str, str]) -> None:
        """An /etc/ld.so.cache with these names and places, as ldconfig writes it."""
        strings, entries = b"", b""
        start = 48 + 24 * len(paths)
        for name, path in paths.items():
            entries += struct.pack("<iIIIQ", 0x303, start + len(strings), start + len(strings) + len(name) + 1, 0, 0)
            strings += f"{name}\0{path}\0".encode()
        head = b"glibc-ld.so.cache1.1" + struct.pack("<II", len(paths), len(strings)) + bytes(20)
        self.write(CACHE, head + entries + strings)


def real(path: Path) -> Path:
    return Path(os.path.realpath(path))
