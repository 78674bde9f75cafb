"""CUDA's toolkit as its installers lay it out: stub libraries under NVIDIA's names, headers, a talking compiler."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from stand_ins.cuda_libraries import library
from stand_ins.provision.symbols import wanted

CUPTI = "extras/CUPTI/lib64"
_TARGET = "targets/x86_64-linux"
_COMPONENTS = {
    "libcudart": "cuda_cudart", "libcupti": "cuda_cupti", "libnvrtc": "cuda_nvrtc", "libnvToolsExt": "cuda_nvtx",
    "libcublasLt": "libcublas", "libnvblas": "libcublas", "libcufftw": "libcufft", "libnppc": "libnpp",
}  # fmt: skip
_NVCC = """#!/bin/sh
# Stands in for CUDA's compiler: it only tells which it is.
cat <<'END'
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-{0.year} NVIDIA Corporation
Cuda compilation tools, release {0.version}, V{0.release}
END
"""
_HOST_CONFIG = """#if __GNUC__ > {0.newest_gcc}
#error -- unsupported GNU version! gcc versions later than {0.newest_gcc} are not supported!
#endif
"""


@dataclass(frozen=True)
class Release:
    """A version of CUDA, as far as its files tell it."""

    version: str
    release: str
    """That of the runtime and of the compiler."""
    driver: str
    runfile: str
    number: int
    """``CUDA_VERSION``."""
    newest_gcc: int
    year: int
    libraries: Mapping[str, str] = field(hash=False)
    """Soname -> the file's own version."""


CUDA_10_0 = Release(
    version="10.0", release="10.0.130", driver="410.48", runfile="cuda_10.0.130_410.48_linux",
    number=10000, newest_gcc=7, year=2018,
    libraries={
        f"lib{name}.so.10.0": "10.0.130"
        for name in ("cudart", "cublas", "cufft", "cufftw", "curand", "cusolver", "cusparse", "nvrtc", "nvgraph",
                     "nppc", "nvjpeg", "nvblas", "cupti")
    } | {"libnvToolsExt.so.1": "1.0.0"},
)  # fmt: skip
CUDA_11_8 = Release(
    version="11.8", release="11.8.89", driver="520.61.05", runfile="cuda_11.8.0_520.61.05_linux.run",
    number=11080, newest_gcc=11, year=2022,
    libraries={
        "libcudart.so.11.0": "11.8.89", "libcublas.so.11": "11.11.3.6", "libcublasLt.so.11": "11.11.3.6",
        "libcufft.so.10": "10.9.0.58", "libcurand.so.10": "10.3.0.86", "libcusolver.so.11": "11.4.1.48",
        "libcusparse.so.11": "11.7.5.86", "libnvrtc.so.11.2": "11.8.89", "libnppc.so.11": "11.8.0.86",
        "libcupti.so.11.8": "2022.3.0", "libnvToolsExt.so.1": "1.0.0",
    },
)  # fmt: skip
_scratch: list[tempfile.TemporaryDirectory[str]] = []


@cache
def components(release: Release) -> Path:
    """A folder with a folder per component (``cuda_nvcc``, ``libcublas`` ...), each laid out as below the prefix.

    Compiled once in a process, and removed with it.  CUDA 10.0 has ``lib64`` and ``include`` as folders; from 10.1 on
    they are links into ``targets/``.
    """
    _scratch.append(tempfile.TemporaryDirectory(prefix="stand-in-cuda-"))
    folder = Path(_scratch[-1].name)
    for soname, version in release.libraries.items():
        stem = soname.split(".so.")[0]
        component = _component(release, folder, _COMPONENTS.get(stem, stem))
        inside = _inside(component, CUPTI if stem == "libcupti" else "lib64")
        code = _runtime(release) if stem == "libcudart" else ""
        symbols = wanted().get(soname, ())
        real = library(inside / f"{stem}.so.{version}", soname, symbols=symbols, version=soname, code=code)
        (inside / soname).symlink_to(real.name)
        (inside / f"{stem}.so").symlink_to(soname)
    nvcc = _component(release, folder, "cuda_nvcc")
    (nvcc / "bin").mkdir()
    (nvcc / "bin/nvcc").write_text(_NVCC.format(release))
    (nvcc / "bin/nvcc").chmod(0o755)
    include = _inside(nvcc, "include")
    (include / "cuda.h").write_text(f"#define CUDA_VERSION {release.number}\n")
    (include / "crt").mkdir()
    (include / "crt/host_config.h").write_text(_HOST_CONFIG.format(release))
    stubs = _inside(_component(release, folder, "cuda_driver_dev"), "lib64") / "stubs"
    library(stubs / "libcuda.so", "libcuda.so.1", code=f"int cuInit(unsigned flags) {{ return {_STUB_LIBRARY}; }}\n")
    _version_file(release, folder)
    return folder


_STUB_LIBRARY = 34  # CUDA_ERROR_STUB_LIBRARY: whoever loads the link-time stub is told so


def install(release: Release, prefix: Path) -> Path:
    """The whole toolkit below this folder, as after the installer (or as a package holds it)."""
    prefix.mkdir(parents=True, exist_ok=True)
    for path in sorted(components(release).iterdir()):
        command = ["/usr/bin/env", "cp", "-a", f"{path}/." if path.is_dir() else path, prefix]
        subprocess.run(command, check=True)
    return prefix


def _component(release: Release, folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        path.mkdir()
        if release is not CUDA_10_0:
            for link, target in (("lib64", f"{_TARGET}/lib"), ("include", f"{_TARGET}/include")):
                (path / target).mkdir(parents=True)
                (path / link).symlink_to(target)
    return path


def _inside(component: Path, name: str) -> Path:
    path = component / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def _runtime(release: Release) -> str:
    return f"int cudaRuntimeGetVersion(int *version) {{ *version = {release.number}; return 0; }}\n"


def _version_file(release: Release, folder: Path) -> None:
    if release is CUDA_10_0:
        (folder / "version.txt").write_text(f"CUDA Version {release.release}\n")
        return
    parts = {
        "cuda": ("CUDA SDK", "11.8.20220929"),
        "cuda_cudart": ("CUDA Runtime (cudart)", release.release),
        "cuda_nvcc": ("CUDA NVCC", release.release),
        "libcublas": ("CUDA cuBLAS", "11.11.3.6"),
        "nvidia_driver": ("NVIDIA Linux Driver", release.driver),
    }
    table = {key: {"name": name, "version": version} for key, (name, version) in parts.items()}
    (folder / "version.json").write_text(json.dumps(table, indent=3) + "\n")
