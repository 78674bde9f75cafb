"""What ``weights`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, plain


def list_(data: dict[str, Any]) -> list[str]:
    """The versions; the one in use has a star."""
    rows = [
        (
            "*" if tree["name"] == data["in_use"] else "",
            tree["name"],
            tree["problem"] or "complete",
            tree["archive_sha256"],
        )
        for tree in data["versions"]
    ]
    return columns(rows) or [f"there are no weights in {plain(data['root'])}"]


def verified(data: dict[str, Any]) -> list[str]:
    """Each version, and what is wrong with it."""
    rows = []
    for tree in data["versions"]:
        as_it_was = (
            "as installed" if tree["fingerprint"] else "complete; not installed by us, so nothing to compare with"
        )
        rows.append((tree["name"], tree["problem"] or as_it_was))
    return columns(rows)


def pulled(data: dict[str, Any]) -> list[str]:
    """What was fetched, what it is trusted for, and what it changes."""
    lines = [f"not from {plain(reason)}" for reason in data["tried"]]
    if data["source"]:
        lines.append(f"{data['folder']}: from {plain(data['source'])}")
    else:
        lines.append(f"{data['folder']} is there already")
    if data["trusted"]:
        lines.append("no checksum was known, so this archive is trusted as it is. For this and every other server:")
        lines.append(f"  weights_sha256={data['archive_sha256']}")
    if data["in_use"]:
        lines.append("it is in use; tables that other versions made stay as they are")
    else:
        lines.append(f"it is not in use: `iblvideo-admin weights pull {data['version']} --use` changes that")
    return lines


def converted(data: dict[str, Any]) -> list[str]:
    """Each network's file, and what comparing it gave."""
    rows = []
    for one in data["networks"]:
        compared = one["compared"]
        told = f"TensorFlow: {compared['px']:.1g} px, {compared['likelihood']:.0e}" if compared else "not compared"
        rows.append((one["name"], one["net_type"], f"{one['bytes'] / 1e6:.1f} MB", told, plain(one["file"])))
    return columns(rows)
