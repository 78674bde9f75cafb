"""What ``weights`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, plain


def converted(data: dict[str, Any]) -> list[str]:
    """Each network's file, and what comparing it gave."""
    rows = []
    for one in data["networks"]:
        compared = one["compared"]
        told = f"TensorFlow: {compared['px']:.1g} px, {compared['likelihood']:.0e}" if compared else "not compared"
        rows.append((one["name"], one["net_type"], f"{one['bytes'] / 1e6:.1f} MB", told, plain(one["file"])))
    return columns(rows)
