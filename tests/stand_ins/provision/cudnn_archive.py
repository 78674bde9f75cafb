"""cuDNN's archives as NVIDIA packs them: the header with the version, a stub library that answers with it."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stand_ins.cuda_libraries import library
from stand_ins.provision.symbols import wanted

_HEADER = """/* Stands in for cuDNN's header: only the version is here. */
#ifndef {guard}
#define {guard}

#define CUDNN_MAJOR {0}
#define CUDNN_MINOR {1}
#define CUDNN_PATCHLEVEL {2}

#define CUDNN_VERSION (CUDNN_MAJOR * 1000 + CUDNN_MINOR * 100 + CUDNN_PATCHLEVEL)

#endif
"""
_OWNER = 10174, 30  # as NVIDIA's: nobody's on a lab's server
_PARTS_OF_8 = ("ops_infer", "ops_train", "cnn_infer", "cnn_train", "adv_infer", "adv_train")


@dataclass(frozen=True)
class Release:
    """A version of cuDNN in its archive."""

    version: str
    file: str
    top: str
    """The folder that holds everything."""

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Without the build's."""
        major, minor, patch, *_ = (int(part) for part in self.version.split("."))
        return major, minor, patch

    @property
    def number(self) -> int:
        """What ``cudnnGetVersion()`` answers."""
        major, minor, patch = self.numbers
        return major * 1000 + minor * 100 + patch


def seven(version: str = "7.6.5.32", cuda: str = "10.0") -> Release:
    """A cuDNN 7 for a CUDA."""
    return Release(version, f"cudnn-{cuda}-linux-x64-v{version}.tgz", "cuda")


def eight(version: str = "8.6.0.163", cuda: str = "11") -> Release:
    """A cuDNN 8, as archives are named since 8.3.1."""
    top = f"cudnn-linux-x86_64-{version}_cuda{cuda}-archive"
    return Release(version, f"{top}.tar.xz", top)


CUDNN_7_6_5, CUDNN_8_6_0 = seven(), eight()


def make(
    folder: Path, release: Release = CUDNN_7_6_5, *, header: str | None = None, hostile: Iterable[str] = ()
) -> Path:
    """The archive in this folder, under its real name.

    ``header`` is the version that the header tells where it is not the library's.  ``hostile`` are keys of
    :data:`HOSTILE`, added behind the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / release.file
    told = Release(header, "", "").numbers if header else release.numbers
    mode = "w:gz" if file.suffix == ".tgz" else "w:xz"
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(file, mode) as tar:  # type: ignore[call-overload]
        top = Path(scratch) / "top"
        (_tree_of_7 if release.numbers[0] == 7 else _tree_of_8)(top, release, told)
        tar.add(top, release.top, filter=_owned)
        for name in hostile:
            HOSTILE[name](tar, release.top)
    return file


def _tree_of_7(top: Path, release: Release, told: tuple[int, int, int]) -> None:
    _text(top / "include/cudnn.h", _HEADER.format(*told, guard="CUDNN_H_"))
    _library(top / "lib64", "libcudnn", release)
    _text(top / "lib64/libcudnn_static.a", "!<arch>\n")
    _text(top / "NVIDIA_SLA_cuDNN_Support.txt", "the stand-in's licence\n")


def _tree_of_8(top: Path, release: Release, told: tuple[int, int, int]) -> None:
    _text(top / "include/cudnn_version.h", _HEADER.format(*told, guard="CUDNN_VERSION_H_"))
    _text(top / "include/cudnn.h", '#include "cudnn_version.h"\n')
    _library(top / "lib", "libcudnn", release)
    for part in _PARTS_OF_8:
        _library(top / "lib", f"libcudnn_{part}", release)
        _text(top / f"lib/libcudnn_{part}_static_v8.a", "!<arch>\n")
    _text(top / "LICENSE", "the stand-in's licence\n")


def _library(folder: Path, stem: str, release: Release) -> None:
    soname = f"{stem}.so.{release.numbers[0]}"
    real = folder / f"{stem}.so.{'.'.join(str(number) for number in release.numbers)}"
    folder.mkdir(parents=True, exist_ok=True)
    real.write_bytes(_compiled(soname, release))
    real.chmod(0o755)
    (folder / soname).symlink_to(real.name)
    (folder / f"{stem}.so").symlink_to(soname)


@cache
def _compiled(soname: str, release: Release) -> bytes:
    code = f"unsigned long cudnnGetVersion(void) {{ return {release.number}; }}\n"
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / soname
        symbols = wanted().get(soname, ())
        return library(path, soname, symbols=symbols, version=soname, code=code).read_bytes()


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o444)


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid = _OWNER
    member.uname = member.gname = ""
    return member


def _file(name: str) -> Callable[[tarfile.TarFile, str], None]:
    def add(tar: tarfile.TarFile, top: str) -> None:
        content = b"written by a hostile archive\n"
        member = tarfile.TarInfo(name.format(top=top))
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))

    return add


def _special(name: str, kind: bytes, target: str = "") -> Callable[[tarfile.TarFile, str], None]:
    def add(tar: tarfile.TarFile, top: str) -> None:
        member = tarfile.TarInfo(name.format(top=top))
        member.type, member.linkname, member.mode = kind, target, 0o666
        member.devmajor, member.devminor = 1, 3
        tar.addfile(member)

    return add


def _through_a_link(tar: tarfile.TarFile, top: str) -> None:
    _special("{top}/out", tarfile.SYMTYPE, "../../../../../../../../tmp")(tar, top)
    _file("{top}/out/hostile")(tar, top)


def _set_user_id(tar: tarfile.TarFile, top: str) -> None:
    member = tarfile.TarInfo(f"{top}/lib64/libcudnn_helper")
    member.mode = 0o4755
    tar.addfile(member)


HOSTILE: dict[str, Callable[[tarfile.TarFile, str], None]] = {
    "parent": _file("../../etc/hostile"),
    "parent inside": _file("{top}/lib64/../../../hostile"),
    "absolute": _file("/etc/hostile"),
    "through a link": _through_a_link,
    "absolute link": _special("{top}/lib64/libcudnn_link.so", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": _special("{top}/include/passwd", tarfile.LNKTYPE, "../../../../../../etc/passwd"),
    "device": _special("{top}/lib64/null", tarfile.CHRTYPE),
    "fifo": _special("{top}/lib64/fifo", tarfile.FIFOTYPE),
    "set-user-id": _set_user_id,
}
