"""CUDA and cuDNN as onnxruntime-gpu finds them: in the Python packages beside it, named by what its own file needs."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

from iblvideo_admin.gpu import elf
from iblvideo_admin.gpu.libraries import Found, Loader
from iblvideo_admin.gpu.sysroot import Sysroot

PROVIDER = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
_OF_CUDA = ("libcu", "libnv")


def site_packages() -> Path:
    """Where this very Python's packages lie."""
    return Path(sysconfig.get_path("platlib"))


def folders(packages: Path) -> list[Path]:
    """Those that NVIDIA's packages bring their libraries in."""
    return sorted(folder for folder in packages.glob("nvidia/*/lib") if folder.is_dir())


def needed(packages: Path) -> tuple[str, ...]:
    """Which of CUDA's libraries onnxruntime's own asks for.  Raises OSError and elf.BrokenLibraryError."""
    return tuple(name for name in elf.read(packages / PROVIDER).needed if name.startswith(_OF_CUDA))


def found(packages: Path, sysroot: Sysroot) -> Iterator[Found]:
    """What will be loaded for each of them.  Raises as :func:`needed` does."""
    loader = Loader(sysroot, folders(packages))
    yield from (loader.find(name) for name in needed(packages))
