"""Old job folders removed; rows stay, and tables are never touched."""

from __future__ import annotations

import time

from iblvideo_admin.queue.job import remove_set_aside
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import ENDED

DAY_S = 86400.0


def prunable(ledger: Ledger, older_than_days: float) -> list[Job]:
    """The jobs that ended so many days ago and still have their folder."""
    before = time.time() - older_than_days * DAY_S
    marks = ", ".join("?" * len(ENDED))
    where = f"WHERE status IN ({marks}) AND since <= ? AND pruned IS NULL ORDER BY id"
    return ledger.select(where, [*sorted(ENDED), before])


def prune(ledger: Ledger, older_than_days: float) -> list[Job]:
    """Remove their folders: renamed first, so that nothing takes a half-removed one for the truth."""
    removed = []
    for job in prunable(ledger, older_than_days):
        with ledger.transaction():
            if ledger.job(job.id).state != job.state:  # asked for again meanwhile
                continue
            ledger.mark(job.id, pruned=time.time())
            ledger.paths(job.id).set_folder_aside()
        removed.append(job)
    remove_set_aside(ledger.state_dir)
    return removed
