"""The report: what was tracked here, how well, what failed, on one page without any other file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import exists
from iblvideo_admin.queue.job import job_folder
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.reporting import chart, gallery, snapshot
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

_DAY_S = 86400.0
Progress = Callable[[int, int], None]


def gather(settings: Settings, *, sessions: int, pictures: int, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Everything that the page shows: the snapshot, the newest sessions, each of their videos.

    ``sessions`` and ``pictures`` are how many of the newest have a row, and a labelled frame.  Raises
    ``toolchain.unknown`` and ``state.not_usable``.
    """
    taken = snapshot.take(settings)
    jobs, done = _jobs(settings, sessions)
    rows = []
    for number, job in enumerate(jobs):
        rows.append(_row(job, settings, picture=number < pictures))
        progress(number + 1, len(jobs))
    codes = Counter(failed["code"] for failed in taken["failures"])
    return {
        "snapshot": taken,
        "rows": rows,
        "sessions": len({job.session for job in jobs}),
        "left_out": sum(taken["queue"].values()) - len(jobs),
        "chart": chart.bars(done, taken["time"]),
        "codes": [
            {"code": code, "count": count, "jobs": [f for f in taken["failures"] if f["code"] == code]}
            for code, count in codes.most_common()
        ],
    }


def _jobs(settings: Settings, sessions: int) -> tuple[list[Job], list[tuple[float, str, int]]]:
    """The jobs of the newest sessions, newest first, and what was done when: time, camera and frames."""
    if not exists(settings.state_dir / "ledger.sqlite"):
        return [], []
    with Ledger(settings.state_dir) as ledger:
        newest = ledger.select("ORDER BY date DESC, since DESC, id LIMIT ?", [sessions * 8])
        recent = ledger.select("WHERE status = 'Complete' AND since > ?", [time.time() - (chart.DAYS + 1) * _DAY_S])
    chosen = list(dict.fromkeys(job.session for job in newest))[:sessions]
    kept = set(chosen)
    return (
        [job for job in newest if job.session in kept],
        [(job.state.since, job.camera, getattr(job.state, "frames", 0)) for job in recent],
    )


def _row(job: Job, settings: Settings, *, picture: bool) -> dict[str, Any]:
    """A video: its job, and what is to be seen of its table."""
    log = job_folder(settings.state_dir, job.id).log
    row: dict[str, Any] = {
        **{name: getattr(job, name) for name in ("id", "session", "camera")},
        "state": {"code": "", "frames": 0, "fps": 0.0, **job.state.as_data()},
        "status": job.state.status,
        "log": log.absolute().as_uri() if exists(log) else None,
        **dict.fromkeys(("quality", "picture", "problem")),
    }
    if job.state.status == "Complete":
        try:
            row |= gallery.seen(Video.at(Path(job.video)), settings.scratch_dir, picture=picture)
        except UserError as error:
            row["problem"] = error.message
    return row
