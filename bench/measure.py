"""How the benchmarks measure, and the rows of which their table is made."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the value, the target it has (if any), and the figures behind it."""

    what: str
    value: str
    target: str = ""
    figures: str = ""


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds (this process and its ended children) and wall seconds of some work."""

    def cpu() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    before, begun = cpu(), time.perf_counter()
    work()
    return cpu() - before, time.perf_counter() - begun
