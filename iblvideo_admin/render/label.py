"""What ``label`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import plain


def label(data: dict[str, Any]) -> list[str]:
    """What was written, and how fast."""
    count = f"{data['frames']} frame{'' if data['frames'] == 1 else 's'}"
    size = f", {data['width']}x{data['height']}, {data['fps']:.0f} frames/s" if "fps" in data else ""
    return [f"{plain(data['out'])}: {count}{size}", *(f"warning: {plain(text)}" for text in data["warnings"])]
