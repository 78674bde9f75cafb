"""What people do to single jobs: look and change are one step, whatever the worker does meanwhile."""

from __future__ import annotations

import time

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import Held, Waiting


def hold(ledger: Ledger, number: int, why: str = "") -> Job:
    """Keep a Waiting job from being started.  Raises ``queue.not_possible``: a running one ends as it ends."""
    with ledger.transaction():
        _require(ledger, number, "Waiting")
        return ledger.move(number, Held(time.time(), why), why or "held by hand")


def release(ledger: Ledger, number: int) -> Job:
    """Let a Held job run.  Raises ``queue.not_possible``."""
    with ledger.transaction():
        _require(ledger, number, "Held")
        return ledger.move(number, Waiting(time.time()), "released by hand")


def _require(ledger: Ledger, number: int, status: str) -> None:
    if (found := ledger.job(number).state.status) != status:
        raise UserError("queue.not_possible", f"job {number} is {found}, not {status}")
