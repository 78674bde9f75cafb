"""How fast one real network runs here, against what this host did at its first passing check.

The numbers of two machines mean nothing beside each other; those of one machine do: a card that has fallen to half its
pace is throttled, shared, or runs on the CPU without saying so.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.engines.base import Engine
from iblvideo_admin.files import read_json, write_json

NETWORK, BATCH, SIDE = "eye", 8, 100  # pictures as a job sends them
SLOW = 0.5  # of the baseline
_WARM_UP, _LEAST_S, _LEAST_BATCHES = 3, 1.0, 5


def measured(engine: Engine) -> float:
    """Pictures per second of one small network, read ahead as a job does.  The engine has loaded it."""
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE), np.uint8)
    for _ in range(_WARM_UP):
        engine.submit(NETWORK, pictures).result()
    begun, batches = time.perf_counter(), 0
    while batches < _LEAST_BATCHES or time.perf_counter() - begun < _LEAST_S:
        engine.submit(NETWORK, pictures).result()
        batches += 1
    return batches * BATCH / (time.perf_counter() - begun)


def baseline(state_dir: Path, key: str) -> float | None:
    """What this host did first; None where nobody has recorded it."""
    value = (read_json(_file(state_dir)) or {}).get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None


def record(state_dir: Path, speeds: dict[str, float]) -> None:
    """Keep the speeds that have no baseline yet, where this user may write."""
    known: dict[str, Any] = read_json(_file(state_dir)) or {}
    new = {key: round(value, 2) for key, value in speeds.items() if baseline(state_dir, key) is None}
    if new and state_dir.is_dir():
        with suppress(OSError):
            write_json(_file(state_dir), {**known, **new})


def _file(state_dir: Path) -> Path:
    return state_dir / "check-baseline.json"
