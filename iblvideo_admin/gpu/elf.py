"""What a shared library says of itself in its ELF headers; nothing is loaded, nothing is run."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

# the head of a 64-bit file: class, byte order, type, machine; place, size and number of the section headers
_HEAD = struct.Struct("<4xBB10xHH20xQ10xHH2x")
_X86_64, _SHARED = 62, 3
_MOST_TAGS, _MOST_SEGMENTS = 4096, 256


class BrokenLibraryError(Exception):
    """The loader would refuse this file; the text says why."""


class OtherMachineError(BrokenLibraryError):
    """A library for another kind of processor: the loader passes it over and looks on."""


@dataclass(frozen=True)
class Library:
    """A shared library's own words."""

    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...] = ()
    """Folders that the loader searches before LD_LIBRARY_PATH, ``$ORIGIN`` put in; what depends on where a job runs is
    left out."""


def read(path: Path) -> Library:
    """Read the headers of a 64-bit x86 library.

    Raises OSError where it cannot be opened, OtherMachineError, and BrokenLibraryError for whatever else the
    loader would not take: no ELF, cut short, headers that contradict each other.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            _check_head(file.read(_HEAD.size), size)
            return _read(file, size, path.parent)
        except BrokenLibraryError:
            raise
        except Exception as error:  # the parser raises whatever damaged headers lead it to
            raise BrokenLibraryError(f"its ELF headers are damaged ({type(error).__name__})") from error


def _check_head(head: bytes, size: int) -> None:
    if not size:
        raise BrokenLibraryError("it is empty")
    if not head.startswith(b"\x7fELF"):
        raise BrokenLibraryError("it is no ELF file")
    if len(head) < _HEAD.size:
        raise BrokenLibraryError(f"it is cut short: {size} bytes")
    bits, order, kind, machine, sections, section_size, section_count = _HEAD.unpack(head)
    if (bits, order, machine) != (2, 1, _X86_64):
        raise OtherMachineError(f"it is for another machine (ELF class {bits}, machine {machine})")
    if kind != _SHARED:
        raise BrokenLibraryError("it is no shared library")
    # the loader does without them, but they are a file's end
    if size < (end := sections + section_size * section_count):
        raise BrokenLibraryError(f"it is cut short: {size} of {end} bytes")


def _read(file: IO[bytes], size: int, origin: Path) -> Library:
    segments = list(islice(ELFFile(file).iter_segments(), _MOST_SEGMENTS))
    end = max((s["p_offset"] + s["p_filesz"] for s in segments if s["p_type"] == "PT_LOAD"), default=0)
    if size < end:
        raise BrokenLibraryError(f"it is cut short: {size} of {end} bytes")
    dynamic = [segment for segment in segments if isinstance(segment, DynamicSegment)]
    if not end or not dynamic:
        raise BrokenLibraryError("it has no dynamic section")
    return _library(dynamic[0], str(origin))


def _library(dynamic: Any, origin: str) -> Library:
    values: dict[str, list[str]] = {"DT_SONAME": [], "DT_NEEDED": [], "DT_RPATH": [], "DT_RUNPATH": []}
    tags = list(islice(dynamic.iter_tags(), _MOST_TAGS))
    if not tags or tags[-1].entry.d_tag != "DT_NULL":
        raise BrokenLibraryError("its dynamic section has no end")
    for tag in tags:
        if (kind := tag.entry.d_tag) in values:
            values[kind].append(getattr(tag, kind[3:].lower()))
    return Library(
        soname=values["DT_SONAME"][0] if values["DT_SONAME"] else None,
        needed=tuple(values["DT_NEEDED"]),
        # a RUNPATH, which is searched after LD_LIBRARY_PATH, puts the RPATH out of force
        rpath=() if values["DT_RUNPATH"] else _folders(values["DT_RPATH"], origin),
    )


def _folders(texts: list[str], origin: str) -> tuple[str, ...]:
    full = [part.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for text in texts for part in text.split(":")]
    return tuple(dict.fromkeys(os.path.normpath(part) for part in full if part.startswith("/")))
