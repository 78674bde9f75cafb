"""Who watches a worker: a person at a terminal, the journal, or nobody."""

from __future__ import annotations

from typing import Any, Protocol

from iblvideo_admin.queue.ledger import Job


class Observer(Protocol):
    """Is told what happens."""

    def started(self, job: Job) -> None:
        """A job begins."""

    def progress(self, job: Job, progress: dict[str, Any]) -> None:
        """What the job's progress.json says now."""

    def ended(self, job: Job) -> None:
        """A job has its outcome, or is back in the queue."""

    def note(self, text: str) -> None:
        """Something about no single job that people should know."""

    def idle(self, reason: str) -> None:
        """Jobs wait, and this is why none of them runs; empty: the reason is gone."""
