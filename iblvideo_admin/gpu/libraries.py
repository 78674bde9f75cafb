"""Which file the dynamic loader takes for a library's name, told without loading anything (ld.so(8)).

The order is the loader's own: the RPATH of the libraries that ask, LD_LIBRARY_PATH, /etc/ld.so.cache, the system's
folders.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from iblvideo_admin.gpu import elf
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot

CACHE, CONF = "/etc/ld.so.cache", "/etc/ld.so.conf"
DEFAULT = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_CACHE_MAGIC, _CACHE_HEAD, _CACHE_ENTRY = b"glibc-ld.so.cache1.1", 48, struct.Struct("<iIIIQ")
_CACHE_X86_64 = 0x0300
_MOST_CACHED, _MOST_LINKS, _MOST_CONFS = 100_000, 20, 64


@dataclass(frozen=True)
class Found:
    """What the loader does with a name.  ``path`` is None where it finds nothing."""

    name: str
    path: Path | None = None
    """As the loader opens it: in its folder, links not followed."""
    library: elf.Library | None = None
    problem: str = ""
    """Why the file that it takes cannot be loaded; empty where it can."""
    passed_over: tuple[str, ...] = ()
    """Files of that name earlier on the path, with the reason why the loader goes on."""

    forbidden: bool = False
    """Whether this user may not read one of those."""

    @property
    def version(self) -> str:
        """What the real file's name says after ``.so.``: 7.6.5 for a link libcudnn.so.7 to libcudnn.so.7.6.5."""
        return os.path.realpath(self.path).rpartition(".so.")[2] if self.path else ""


class Loader:
    """The loader of a host, with the LD_LIBRARY_PATH that a job will have; ``rpath`` is searched before it."""

    def __init__(self, sysroot: Sysroot, library_path: Sequence[Path], rpath: Sequence[Path] = ()) -> None:
        self.sysroot = sysroot
        self.rpath = list(rpath)
        self.library_path = [self.located(folder) for folder in library_path]
        self.cache = _cached(sysroot)
        self.configured = [self.located(folder) for folder in _configured(sysroot, CONF)]
        self.default = [self.located(folder) for folder in DEFAULT]

    def located(self, path: Path | str) -> Path:
        """A host's path: the system's own folders lie below the sysroot, those of the settings where they say."""
        system = Path(path).parts[1:2] in (("usr",), ("lib",), ("lib64",), ("etc",))
        return self.sysroot.path(path) if system else Path(path)

    def find(self, name: str) -> Found:
        """The file that the loader takes for ``name``."""
        passed: list[str] = []
        forbidden = False
        for path in self._candidates(name):
            if not os.path.lexists(path):
                continue
            try:
                return Found(name, path, elf.read(path), passed_over=tuple(passed), forbidden=forbidden)
            except elf.OtherMachineError as error:
                passed.append(f"{path}: {error}")
            except elf.BrokenLibraryError as error:
                return Found(name, path, None, str(error), tuple(passed))
            except FileNotFoundError:
                passed.append(f"{path}: a link to {path.readlink()}, which is not there")
            except OSError as error:
                passed.append(f"{path}: {error.strerror}")
                forbidden = forbidden or isinstance(error, PermissionError)
        return Found(name, passed_over=tuple(passed), forbidden=forbidden)

    def elsewhere(self, stem: str) -> list[str]:
        """Files of the folders that are searched whose names begin with ``stem``, such as ``libcudnn.so.``."""
        folders = dict.fromkeys([*self.library_path, *self.configured, *self.default])
        return [str(folder / name) for folder in folders for name in _names(folder) if name.startswith(stem)]

    def _candidates(self, name: str) -> Iterator[Path]:
        yield from (folder / name for folder in (*self.rpath, *self.library_path))
        yield from (self.located(path) for path in self.cache.get(name, ()))
        # a folder of ld.so.conf that is not in the cache is not searched
        yield from (folder / name for folder in self.default)


def _cached(sysroot: Sysroot) -> dict[str, list[str]]:
    """Name -> paths of /etc/ld.so.cache, 64-bit x86 only; empty where the loader would not use it either."""
    try:
        with open(sysroot.path(CACHE), "rb") as file:
            data = file.read(1 << 24)
    except OSError:
        return {}
    start = data.find(_CACHE_MAGIC)  # an older cache may stand before it
    if start < 0:
        return {}
    data = data[start:]
    found: dict[str, list[str]] = {}
    try:
        (count,) = struct.unpack_from("<I", data, len(_CACHE_MAGIC))
        for index in range(min(count, _MOST_CACHED)):
            flags, key, value, _, _ = _CACHE_ENTRY.unpack_from(data, _CACHE_HEAD + index * _CACHE_ENTRY.size)
            if flags & 0xFF00 == _CACHE_X86_64:
                found.setdefault(_text(data, key), []).append(_text(data, value))
    except (struct.error, ValueError):
        return {}
    return {name: paths for name, paths in found.items() if all(path.startswith("/") for path in paths)}


def _text(data: bytes, start: int) -> str:
    return os.fsdecode(data[start : data.index(b"\0", start)])


def _configured(sysroot: Sysroot, path: str) -> list[str]:
    """The folders of ld.so.conf, its includes followed."""
    found, waiting, seen = [], [path], 0
    while waiting and seen < _MOST_CONFS:
        seen += 1
        try:
            text = sysroot.text(waiting.pop(0)) or ""
        except CannotLookError:
            continue
        for raw in text.splitlines():
            line = raw.partition("#")[0].partition("\0")[0].strip()  # no path goes on after a NUL
            if line.startswith("include "):
                folder, _, pattern = line[len("include ") :].strip().rpartition("/")
                waiting += [
                    f"{folder}/{name}" for name in _names(sysroot.path(folder)) if Path(name).match(pattern or "*")
                ]
            elif line.startswith("/"):
                found.append(line)
    return found


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
