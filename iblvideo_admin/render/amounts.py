"""Amounts as people say them: times, sizes, counts."""

from __future__ import annotations


def span(seconds: float | None) -> str:
    """A length of time in one or two units: ``45 s``, ``12 min``, ``3 h 20 min``, ``12 days``."""
    if seconds is None:
        return "N/A"
    seconds = max(seconds, 0.0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if (minutes := round(seconds / 60)) < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 and minutes < 600 else f"{round(minutes / 60)} h"
    return f"{round(minutes / 1440)} days"


def size(number: float | None) -> str:
    """Bytes in units of thousands, as disks are sold: ``912 MB``, ``66 GB``, ``1.2 TB``."""
    if number is None:
        return "N/A"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 999.5:
            return f"{number:.0f} {unit}" if number >= 9.95 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def memory(number: float | None) -> str:
    """A card's memory in GiB, as its name says."""
    return "N/A" if number is None else f"{number / 2**30:.1f}"


def count(number: float) -> str:
    """A number with thin groups of thousands: ``1 234 567``."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
