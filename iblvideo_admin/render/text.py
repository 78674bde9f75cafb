"""Pieces of text: one line each, whatever a file is called."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence


def plain(text: object) -> str:
    """On one line and without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def printable(text: str) -> str:
    """Lines as they are, without anything else that a terminal would obey."""
    return "\n".join(plain(line.rstrip("\r")).replace("\\t", "    ") for line in text.split("\n"))


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """Rows of cells in columns as wide as their widest cell."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells), default=0))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in cells]


def when(seconds: float) -> str:
    """A moment for people, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
