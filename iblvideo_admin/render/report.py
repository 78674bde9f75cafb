"""What ``report`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.amounts import size
from iblvideo_admin.render.text import plain


def report(data: dict[str, Any]) -> list[str]:
    """Where the page is, and what it holds."""
    return [f"{plain(data['html'])}: {data['videos']} videos of {data['sessions']} sessions, {size(data['bytes'])}"]
