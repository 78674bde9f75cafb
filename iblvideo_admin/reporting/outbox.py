"""What still has to be told to Alyx."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.alyx import seen
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import exists
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.settings import Settings


def outbox(settings: Settings) -> dict[str, Any] | None:
    """Of Alyx, without asking it: see :func:`iblvideo_admin.alyx.seen.outbox`; None while no task was ever taken."""
    if not exists(settings.state_dir / "ledger.sqlite"):
        return None
    try:
        with Ledger(settings.state_dir) as ledger:
            return seen.outbox(ledger, settings)
    except UserError:  # the ledger's trouble stands elsewhere in the snapshot
        return None
