"""A trial that passed need not be made again while everything that it went through is as it was.

Only what a run of the roles changes is looked at: versions, settings, the driver, a restart.  What breaks by itself,
as a card, is what check-gpu is asked for each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from .. import files, settings, toolchains

KEPT_S = 7 * 24 * 3600.0
"""After this long it is made again all the same."""
NAME = "trial.json"
_MACHINE = (Path("/proc/sys/kernel/random/boot_id"), Path("/sys/module/nvidia/version"))


def passed(scratch: Path, now: float | None = None) -> dict[str, Any] | None:
    """What the last trial of just this set-up said, where it passed; None where there is none."""
    known = files.read_json(scratch / NAME) or {}
    age_s = (time.time() if now is None else now) - float(known.get("at_s", 0.0))
    if known.get("of") != _fingerprint() or not 0 <= age_s < KEPT_S:
        return None
    return {"result": "pass", "said": f"{known.get('said')} (nothing has changed since)"}


def remember(scratch: Path, answer: dict[str, Any]) -> None:
    """For :func:`passed`; a trial that did not pass is forgotten, and the one before it, too."""
    if answer["result"] == "pass":
        files.write_hint(scratch / NAME, {"of": _fingerprint(), "said": answer["said"], "at_s": time.time()})
    else:
        (scratch / NAME).unlink(missing_ok=True)


def _fingerprint() -> str:
    """Of the command's version, its settings, the environment they lead to, the driver, and the machine's start."""
    in_force = settings.load()
    known = in_force.toolchain in toolchains.names()  # `auto` is what the cards make of it, which a job looks up anew
    own = toolchains.load(in_force.toolchain).interpreter(in_force.dlc_python) if known else in_force.dlc_python
    python = own or Path(sys.executable)
    machine = [path.read_text() if path.exists() else "" for path in _MACHINE]
    parts = [os.path.realpath(sys.prefix), os.path.realpath(python.parent), settings.as_data(in_force), machine]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
