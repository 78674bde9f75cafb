"""CUDA as NVIDIA's packages: the toolkit alone, and the metapackages that pull in a driver with it."""

from __future__ import annotations

import os
from pathlib import Path

from stand_ins.provision.apt_repository import Package
from stand_ins.provision.cuda_toolkit import CUDA_10_0, Release, components

_TARGET = "targets/x86_64-linux"
_TOOLS = ("cuda_nvcc", "cuda_cupti", "cuda_driver_dev")


def cuda_packages(release: Release = CUDA_10_0) -> list[Package]:
    """``cuda-toolkit-10-0`` and what it needs; ``cuda-runtime-10-0`` and ``cuda-10-0`` want ``cuda-drivers``, too.

    The latter is none of these: see :func:`stand_ins.provision.driver_packages.driver_packages`.
    """
    prefix, dashed = f"/usr/local/cuda-{release.version}", release.version.replace(".", "-")
    full = f"{release.release if release is CUDA_10_0 else '11.8.0'}-1"
    common = Package(
        f"cuda-toolkit-{dashed}-config-common" if release is not CUDA_10_0 else f"cuda-license-{dashed}", full,
        files={f"/etc/ld.so.conf.d/cuda-{dashed}.conf": f"{prefix}/{_TARGET}/lib\n"},
        links={f"{prefix}/lib64": f"{_TARGET}/lib", f"{prefix}/include": f"{_TARGET}/include"},
        scripts={"postinst": f"ln -sfn cuda-{release.version} /usr/local/cuda\nldconfig"},
    )  # fmt: skip
    folders = [path for path in sorted(components(release).iterdir()) if path.is_dir()]
    parts = {path.name: _part(release, path, prefix, dashed, full, common.name) for path in folders}
    libraries = tuple(part.name for name, part in parts.items() if name not in _TOOLS)
    tools = tuple(parts[name].name for name in _TOOLS)

    def meta(name: str, *depends: str) -> Package:
        return Package(f"{name}-{dashed}", full, depends)

    [version] = [path for path in components(release).iterdir() if path.name.startswith("version.")]
    documentation = Package(f"cuda-documentation-{dashed}", full, files={f"{prefix}/{version.name}": version})
    return [
        common, documentation, *parts.values(),
        meta("cuda-libraries", *libraries),
        meta("cuda-toolkit", f"cuda-libraries-{dashed}", *tools, documentation.name),
        meta("cuda-runtime", f"cuda-libraries-{dashed}", f"cuda-drivers (>= {release.driver})"),
        meta("cuda", f"cuda-toolkit-{dashed}", f"cuda-runtime-{dashed}"),
    ]  # fmt: skip


def _part(release: Release, folder: Path, prefix: str, dashed: str, full: str, common: str) -> Package:
    stem = folder.name.replace("_", "-")
    if release is CUDA_10_0:
        stem = f"cuda-{stem.removeprefix('cuda-').removeprefix('lib')}"
    files: dict[str, str | bytes | Path] = {}
    links: dict[str, str] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            place = str(path.relative_to(folder))
            for old, new in (("lib64/", f"{_TARGET}/lib/"), ("include/", f"{_TARGET}/include/")):
                place = new + place.removeprefix(old) if place.startswith(old) else place
            if path.is_symlink():
                links[f"{prefix}/{place}"] = str(path.readlink())
            else:
                files[f"{prefix}/{place}"] = path
    return Package(f"{stem}-{dashed}", full, (common,), files=files, links=links)
