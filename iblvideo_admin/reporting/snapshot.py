"""The state of this server at one moment: what ``status`` shows and everything else reads."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path
from typing import Any

import iblvideo_admin
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import exists, nearest
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.slots import has_worker
from iblvideo_admin.queue.states import STATES, Errored, Held
from iblvideo_admin.settings import Settings


def take(settings: Settings) -> dict[str, Any]:
    """The data of ``status``.  Raises ``toolchain.unknown`` and ``state.not_usable``."""
    now = time.time()
    cards = inventory.look()
    toolchain = choice.resolve(settings, cards)
    snapshot: dict[str, Any] = {
        "host": socket.gethostname(),
        "time": now,
        "age_s": 0.0,
        "versions": {"iblvideo_admin": iblvideo_admin.__version__, "driver": cards.driver},
        "gpus": [gpu.as_data() for gpu in cards.gpus],
        "toolchain": {"name": toolchain.name, "interpreter": str(toolchain.interpreter(settings.dlc_python))},
        "settings_from": list(settings.sources) or ["defaults"],
        "disks": _disks(settings),
        "check": None,
        "service": None,
        "outbox": None,
        "stuck_after_s": settings.stuck_s,
        **_queue(settings, now),
    }
    snapshot["attention"] = _attention(snapshot)
    return snapshot


def _queue(settings: Settings, now: float) -> dict[str, Any]:
    none = dict.fromkeys(STATES, 0)
    empty: dict[str, Any] = {
        "queue": none, "held": None, "held_until": None, "workers": [], "running": [], "last_complete": None,
        "failures": [],
    }  # fmt: skip
    if not exists(settings.state_dir / "ledger.sqlite"):
        return empty
    try:
        with Ledger(settings.state_dir) as ledger:
            last = ledger.last("Complete")
            return {
                "queue": ledger.counts(),
                "held": ledger.held(),
                "held_until": hold.until if (hold := ledger.hold_now()) else None,
                "workers": [
                    {"device": at.device, "pid": at.pid, "since": at.since, "reason": at.reason}
                    for at in ledger.devices()
                    if has_worker(settings.state_dir, at.device)
                ],
                "running": [_running(job, ledger, now, settings.stuck_s) for job in ledger.jobs("Started")],
                "last_complete": _brief(last) if last else None,
                "failures": [_failed(job) for job in ledger.jobs("Errored", "Held") if _has_failed(job)],
            }
    except UserError as error:
        return {**empty, "problem": error.message}


def _brief(job: Job) -> dict[str, Any]:
    return {"id": job.id, "session": job.session, "camera": job.camera, **job.state.as_data()}


def _running(job: Job, ledger: Ledger, now: float, stuck_s: float) -> dict[str, Any]:
    progress = ledger.paths(job.id).read_progress() or {}
    written = progress.get("written", job.state.since)
    return {
        **_brief(job),
        "stage": progress.get("stage"),
        "frames_done": progress.get("done"),
        "frames_total": progress.get("total"),
        "fps": progress.get("fps"),
        "eta_s": progress.get("eta_s"),
        "stuck": now - written > stuck_s,
    }


def _has_failed(job: Job) -> bool:
    """Errored, or Held by the queue itself because its process died."""
    return isinstance(job.state, Errored) or (isinstance(job.state, Held) and bool(job.state.code))


def _failed(job: Job) -> dict[str, Any]:
    message = job.state.because if isinstance(job.state, Held) else getattr(job.state, "message", "")
    return {**_brief(job), "message": message, "acknowledged": job.acknowledged is not None}


def _disks(settings: Settings) -> list[dict[str, Any]]:
    disks = []
    for name in ("subjects_dir", "state_dir"):
        folder: Path = getattr(settings, name)
        usage = shutil.disk_usage(nearest(folder))
        disks.append(
            {
                "name": name,
                "path": str(folder),
                "exists": exists(folder),
                "free": usage.free,
                "total": usage.total,
            }
        )
    return disks


def _attention(snapshot: dict[str, Any]) -> list[str]:
    """What needs a person."""
    wanted = [
        f"job {failed['id']} ({failed['session']} {failed['camera']}): {failed['code']}: {failed['message']}"
        for failed in snapshot["failures"]
        if not failed["acknowledged"]
    ]
    wanted += [
        f"job {job['id']} has had no new frame for {snapshot['stuck_after_s']:.0f} s"
        for job in snapshot["running"]
        if job["stuck"]
    ]
    if snapshot["held"] and not snapshot["held_until"]:  # by nobody, or by somebody who may have forgotten it
        wanted.append(f"the queue is held {snapshot['held']}")
    waits = snapshot["queue"]["Waiting"] and not snapshot["running"] and not snapshot["held"]
    wanted += [
        f"{at['device']}: no job is started: {at['reason']}" for at in snapshot["workers"] if waits and at["reason"]
    ]
    wanted += [f"there is no {disk['name']} {disk['path']}" for disk in snapshot["disks"] if not disk["exists"]]
    if snapshot.get("problem"):
        wanted.append(snapshot["problem"])
    return wanted
