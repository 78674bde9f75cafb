"""What the commands of ``config`` say."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, plain


def show(data: dict[str, Any]) -> list[str]:
    """Every field and its value."""
    lines = columns((name, "" if value is None else value) for name, value in data["settings"].items())
    return [*lines, f"from: {', '.join(data['sources']) or 'defaults'}"]


def init(data: dict[str, Any]) -> list[str]:
    """Where the new file is."""
    return [f"written: {plain(data['file'])}"]


def path(data: dict[str, Any]) -> list[str]:
    """The files that are looked for."""
    return columns((file["path"], "" if file["exists"] else "(absent)") for file in data["files"])
