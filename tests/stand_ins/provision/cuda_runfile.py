"""CUDA's self-extracting installers as files to be run: ``sh FILE --silent --toolkit --toolkitpath=DIR --override``.

They know the options of the real ones (10.0: a Perl installer around further archives; 11.8: one program), and do the
same harm: without ``--toolkit`` a driver is installed and ``/usr/local/cuda`` turned.  Outside of the toolkit's folder
they write below ``$STAND_IN_ROOT``; a test that owns a whole host leaves that unset.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stand_ins.provision import cuda_toolkit
from stand_ins.provision.cuda_toolkit import CUDA_10_0, CUDA_11_8, Release

__all__ = ["CUDA_10_0", "CUDA_11_8", "INNER", "Behaviour", "make"]
Broken = Literal["", "newer-system", "half-way", "unsaid"]
INNER = "cuda-linux.10.0.130-24817639.run"
_TEMPLATES = Path(__file__).with_name("runfile")
_FOUND = "use lib '.';"
_LIBXML = """echo "./cuda-installer: error while loading shared libraries: libxml2.so.2: \
cannot open shared object file: No such file or directory" >&2
exit 127"""
_FULL = "echo 'cp: error writing: No space left on device' >&2; exit 1"


@dataclass(frozen=True)
class Behaviour:
    """How an installer misbehaves."""

    broken: Broken = ""
    """``newer-system``: it ends at once with what people see there, but still unpacks (10.0: Perl does not find
    InstallUtils.pm, which PERL5LIB=. helps; 11.8: there is no libxml2.so.2).  ``half-way``: with half of the files in
    place the disk is full.  ``unsaid``: half of the files, and it ends as if all were well."""
    pause_s: float = 0
    """It waits with half of the files in place: time to kill it."""
    relinks: bool = False
    """``/usr/local/cuda`` is turned to the new version even with ``--toolkit`` alone."""


def make(folder: Path, release: Release = CUDA_10_0, behaviour: Behaviour | None = None) -> Path:
    """The installer of a release in this folder, under its real name."""
    wanted = behaviour or Behaviour()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        if release is CUDA_10_0:
            _packages_of_10_0(tree, release, wanted)
            return archive(tree, folder / release.runfile, "CUDA", "./cuda-installer.pl")
        builds = tree / "builds"
        shutil.copytree(cuda_toolkit.components(release), builds, symlinks=True)
        _driver_file(builds, release)
        _write(tree / "cuda-installer", "cuda-installer.sh", release, wanted)
        return archive(tree, folder / release.runfile, "CUDA Installer", "./cuda-installer")


def archive(tree: Path, file: Path, label: str, script: str) -> Path:
    """A self-extracting archive, as Makeself makes them, that runs a script of the tree once unpacked."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        tar.add(tree, ".")
    head = (_TEMPLATES / "makeself.sh").read_text()
    values = {"LINES": head.count("\n"), "LABEL": label, "SCRIPT": script}
    values["MD5"] = hashlib.md5(packed.getvalue(), usedforsecurity=False).hexdigest()
    file.write_bytes(_filled(head, values).encode() + packed.getvalue())
    file.chmod(0o755)
    return file


def _packages_of_10_0(tree: Path, release: Release, behaviour: Behaviour) -> None:
    """Makes what the outer archive holds: its installer, and further archives for toolkit, samples and driver."""
    inner, runs = tree / "inner", tree / "outer/run_files"
    runs.mkdir(parents=True)
    cuda_toolkit.install(release, inner)
    shutil.copy(_TEMPLATES / "InstallUtils.pm", inner)
    shutil.copy(_TEMPLATES / "InstallUtils.pm", runs.parent)
    _write(inner / "install-linux.pl", "install-linux.pl", release, behaviour)
    _write(runs.parent / "cuda-installer.pl", "cuda-installer.pl", release, behaviour)
    archive(inner, runs / INNER, "NVIDIA CUDA", "./install-linux.pl")
    _stand_alone(runs / "cuda-samples.10.0.130-24817639-linux.run")
    _driver_file(runs, release)
    shutil.rmtree(inner)
    for path in (tree / "outer").iterdir():
        path.rename(tree / path.name)
    (tree / "outer").rmdir()


def _driver_file(folder: Path, release: Release) -> None:
    _stand_alone(folder / f"NVIDIA-Linux-x86_64-{release.driver}.run")


def _stand_alone(path: Path) -> None:
    path.write_text(f"#!/bin/sh\necho {path.name} is not to be run >&2\nexit 1\n")
    path.chmod(0o755)


def _write(path: Path, template: str, release: Release, behaviour: Behaviour) -> None:
    newer = behaviour.broken == "newer-system"
    values = {
        "VERSION": release.version,
        "DRIVER": release.driver,
        "NEWEST_GCC": release.newest_gcc,
        "PAUSE_S": behaviour.pause_s,
        "RELINKS": int(behaviour.relinks),
        "INC_LINE": "" if newer else _FOUND,
        "BROKEN": _LIBXML if newer else "",
        "HALF_WAY": "",
    }
    if behaviour.broken == "half-way":
        values["HALF_WAY"] = "die('cp: error writing: No space left on device');" if path.suffix == ".pl" else _FULL
    if behaviour.broken == "unsaid":
        values["HALF_WAY"] = "exit(0);" if path.suffix == ".pl" else "exit 0"
    path.write_text(_filled((_TEMPLATES / template).read_text(), values))
    path.chmod(0o755)


def _filled(text: str, values: Mapping[str, object]) -> str:
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text
