"""cuDNN's version, told by two witnesses: the library's file name and the header beside it.

Numbers are cuDNN's own: 7605 is 7.6.5.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_HEADERS = ("include/cudnn_version.h", "include/cudnn.h")  # the first from cuDNN 8 on
_DEFINED = re.compile(r"^\s*#\s*define\s+CUDNN_(MAJOR|MINOR|PATCHLEVEL)\s+(\d{1,3})\s*$", re.MULTILINE)
_NAMED = re.compile(r"libcudnn\.so\.(\d{1,2})\.(\d{1,2})\.(\d{1,2})")
_MOST_BYTES = 1 << 20


def library_version(path: Path) -> int | None:
    """Of the file that a link like libcudnn.so.7 leads to, or that it is a copy of; None where no name tells it."""
    real = Path(os.path.realpath(path))
    try:
        size = real.stat().st_size
        # `cp` without -P makes copies of what were links
        copies = [other for other in real.parent.iterdir() if other != real and other.stat().st_size == size]
    except OSError:
        copies = []
    for candidate in (real, *sorted(copies)):
        if match := _NAMED.fullmatch(candidate.name):
            return _number(*match.groups())
    return None


def header_version(root: Path) -> int | None:
    """What cudnn.h (cudnn_version.h) says; None where there is no header.

    Raises OSError where it cannot be read, ValueError where it names no version.
    """
    for name in _HEADERS:
        try:
            with open(root / name, "rb") as file:
                text = file.read(_MOST_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            continue
        said = dict(_DEFINED.findall(text))
        if len(said) == 3:
            return _number(said["MAJOR"], said["MINOR"], said["PATCHLEVEL"])
        if name == _HEADERS[-1]:
            raise ValueError(f"{root / name} names no version")
    return None


def spelled(number: int) -> str:
    """7.6.5 of 7605."""
    return f"{number // 1000}.{number // 100 % 10}.{number % 100}"


def _number(major: str, minor: str, patch: str) -> int:
    return int(major) * 1000 + int(minor) * 100 + int(patch)
