"""Filters about versions that lie side by side: which parts a run has switched, and whether that is still so."""

from __future__ import annotations

import base64
import json
import os
from typing import Any


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "parts_switched": parts_switched,
            "last_update": last_update,
            "parts_changed_since": parts_changed_since,
        }


def parts_switched(parts: dict[str, str], before: list[dict[str, Any]], now: list[dict[str, Any]]) -> dict[str, str]:
    """Part -> the version that it was switched to; ``before`` and ``now``: what `stat` said of each part's link."""
    versions = [(part, _version(old), _version(new)) for part, old, new in zip(parts, before, now, strict=True)]
    return {part: new for part, old, new in versions if old and new and old != new}


def last_update(slurped: dict[str, Any]) -> dict[str, str]:
    """What the last update wrote down; empty where it did not, or where nobody can read it."""
    try:
        written = json.loads(base64.b64decode(slurped.get("content", "")))
        return {str(part): str(version) for part, version in written.items()}
    except (ValueError, AttributeError):
        return {}


def parts_changed_since(written: dict[str, str], parts: dict[str, str], now: list[dict[str, Any]]) -> list[str]:
    """The parts of an update that are not any more what it made of them."""
    versions = {part: _version(link) for part, link in zip(parts, now, strict=True)}
    return [part for part, version in written.items() if versions.get(part) != version]


def _version(link: dict[str, Any]) -> str:
    stat = link.get("stat") or {}
    return os.path.basename(str(stat.get("lnk_source") or "")) if stat.get("exists") else ""
