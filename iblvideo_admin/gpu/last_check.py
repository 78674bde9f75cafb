"""What check-gpu last said here: kept in the state folder, so that ``status`` need not run it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from iblvideo_admin.files import exists, read_json, write_json

_LEVELS = ("quick", "full")


def record(state_dir: Path, data: dict[str, Any]) -> None:
    """Keep the verdict of a check's data, where this user may write; each level has its own."""
    if not state_dir.is_dir():
        return
    if all(check["status"] == "skip" and not check["remedy"] for check in data["checks"]):
        return  # no layer of this level applies to the toolchain: that says nothing, for or against
    kept = {
        "verdict": data["verdict"],
        "level": data["level"],
        "toolchain": data["toolchain"],
        "time": time.time(),
        "wrong": [
            {name: check[name] for name in ("id", "layer", "status", "summary", "remedy")}
            for check in data["checks"]
            if check["status"] == "fail" or (check["status"] == "skip" and check["remedy"])
        ],
        "layers": [check["layer"] for check in data["checks"]],
    }
    with suppress(OSError):
        write_json(_file(state_dir), {**(read_json(_file(state_dir)) or {}), data["level"]: kept})


def standing(state_dir: Path, toolchain: str) -> dict[str, Any] | None:
    """What is to be believed of this toolchain now: the latest check, or an older one that still has something to say.

    A full check that failed in a layer at which a later quick one did not look stands.  None where there was none.
    The keys are ``verdict``, ``level``, ``toolchain``, ``time`` and ``wrong``, the layers that failed or, with a
    remedy, could not be looked at.
    """
    if not exists(_file(state_dir)):
        return None
    kept = read_json(_file(state_dir)) or {}
    sound: list[dict[str, Any]] = [kept[level] for level in _LEVELS if _is_sound(kept.get(level))]
    found = [one for one in sound if one["toolchain"] == toolchain]
    if not found:
        return None
    latest = max(found, key=lambda one: float(one["time"]))
    for older in found:
        if latest["verdict"] == "pass" and older["verdict"] != "pass" and not _sees_all(latest, older["wrong"]):
            latest = older
    return {name: latest[name] for name in ("verdict", "level", "toolchain", "time", "wrong")}


def _sees_all(check: dict[str, Any], wrong: list[dict[str, Any]]) -> bool:
    """Whether a check looked at all these layers."""
    return bool(wrong) and {one["layer"] for one in wrong} <= set(check["layers"])


def _is_sound(kept: Any) -> bool:
    """Whether it is what :func:`record` writes: the file may be damaged, or another version's."""
    if not isinstance(kept, dict) or not isinstance(kept.get("time"), (int, float)):
        return False
    texts = all(isinstance(kept.get(name), str) for name in ("verdict", "level", "toolchain"))
    lists = isinstance(kept.get("layers"), list) and isinstance(kept.get("wrong"), list)
    wanted = {"id", "layer", "status", "summary", "remedy"}
    return texts and lists and all(isinstance(one, dict) and wanted <= one.keys() for one in kept["wrong"])


def _file(state_dir: Path) -> Path:
    return state_dir / "last-check.json"
