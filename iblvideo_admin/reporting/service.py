"""How the service is: asked of systemd, where there is one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from iblvideo_admin.files import exists

UNIT = "iblvideo-admin.service"
SYSTEMCTL = "/bin/systemctl"
RUNS_SYSTEMD = Path("/run/systemd/system")  # there exactly while systemd is in charge: sd_booted(3)
_LIMIT_S = 5.0
_ASKED = "LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,ActiveEnterTimestamp,InactiveEnterTimestamp"


def look() -> dict[str, Any] | None:
    """The unit's ``active``, ``sub``, ``enabled``, ``result``, ``restarts`` and ``since`` (seconds since the epoch).

    None where no systemd is in charge, it does not answer, or it knows no such unit.
    """
    if not exists(RUNS_SYSTEMD):
        return None
    try:
        done = subprocess.run(
            [SYSTEMCTL, "show", UNIT, "--property", _ASKED, "--timestamp=unix"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if told.get("LoadState") != "loaded":
        return None
    since = "ActiveEnterTimestamp" if told.get("ActiveState") == "active" else "InactiveEnterTimestamp"
    return {
        "unit": UNIT,
        "active": told.get("ActiveState", "unknown"),
        "sub": told.get("SubState", ""),
        "enabled": told.get("UnitFileState") == "enabled",
        "result": told.get("Result", ""),
        "restarts": int(told["NRestarts"]) if told.get("NRestarts", "").isdigit() else None,
        "since": _moment(told.get(since, "")),
    }


def _moment(text: str) -> float | None:
    """Of ``@1767225600``; None where it never was so."""
    try:
        return float(text.removeprefix("@"))
    except ValueError:
        return None
