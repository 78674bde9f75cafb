"""The state of this server at one moment: what ``status`` shows and everything else reads."""

from __future__ import annotations

import socket
import time
from typing import Any

import iblvideo_admin
from iblvideo_admin.gpu import choice, inventory, last_check
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.reporting import attention, disks, jobs, service
from iblvideo_admin.reporting.outbox import outbox
from iblvideo_admin.settings import Settings

_GPU_LIMIT_S = 10.0  # a driver that is stuck must not keep everything else from being seen


def take(settings: Settings, cards: Inventory | None = None) -> dict[str, Any]:
    """The data of ``status``; docs/status.md describes the keys.

    ``cards`` are those that were looked at just now, where they were.
    Raises ``toolchain.unknown`` and ``state.not_usable``.
    """
    now = time.time()
    if cards is None:
        cards = inventory.look(limit_s=_GPU_LIMIT_S)
    toolchain = choice.resolve(settings, cards)
    snapshot: dict[str, Any] = {
        "host": socket.gethostname(),
        "time": now,
        "age_s": 0.0,
        "versions": {"iblvideo_admin": iblvideo_admin.__version__, "driver": cards.driver},
        "gpus": [gpu.as_data(state=True) for gpu in cards.gpus],
        "gpus_problem": cards.problem,
        "toolchain": {
            "name": toolchain.name,
            "interpreter": str(toolchain.interpreter(settings.dlc_python)),
            "needs_gpu": toolchain.needs_gpu,
        },
        "settings_from": list(settings.sources) or ["defaults"],
        "disks": disks.look(settings, now),
        "check": last_check.standing(settings.state_dir, toolchain.name),
        "service": service.look(),
        "outbox": outbox(settings),
        "stuck_after_s": settings.stuck_s,
        "min_free_gb": settings.min_free_gb,
        **jobs.look(settings, now),
    }
    snapshot["attention"] = attention.wanted(snapshot)
    return snapshot
