"""What needs a person, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iblvideo_admin.alyx import seen

_FULL_SOON_DAYS = 7.0
_OUTBOX_OLD_S = 86400.0


def wanted(snapshot: dict[str, Any]) -> list[str]:
    """Everything of a snapshot that does not go away by itself; acknowledged failures have been seen."""
    return [
        *_jobs(snapshot),
        *_queue(snapshot),
        *_server(snapshot),
        *_disks(snapshot),
        *([snapshot["problem"]] if snapshot.get("problem") else []),
    ]


def _jobs(snapshot: dict[str, Any]) -> Iterator[str]:
    for failed in snapshot["failures"]:
        if not failed["acknowledged"]:
            what = f"job {failed['id']} ({failed['session']} {failed['camera']})"
            yield f"{what}: {failed['code']}: {failed['message']}"
    for job in snapshot["running"]:
        if job["stuck"]:
            yield f"job {job['id']} has had no new frame for {snapshot['stuck_after_s']:.0f} s"


def _queue(snapshot: dict[str, Any]) -> Iterator[str]:
    if snapshot["held"] and not snapshot["held_until"]:  # by nobody, or by somebody who may have forgotten it
        yield f"the queue is held {snapshot['held']}"
    waits = snapshot["queue"]["Waiting"] and not snapshot["running"] and not snapshot["held"]
    for at in snapshot["workers"]:
        if waits and at["reason"]:
            yield f"{at['device']}: no job is started: {at['reason']}"


def _server(snapshot: dict[str, Any]) -> Iterator[str]:
    for gpu in snapshot["gpus"]:
        if gpu["lost"]:
            yield f"GPU {gpu['index']} is lost: {gpu['problem'] or 'it does not answer'}: `iblvideo-admin check-gpu`"
    if snapshot["toolchain"]["needs_gpu"] and snapshot["gpus_problem"]:
        yield f"the cards do not answer: {snapshot['gpus_problem']}: `iblvideo-admin check-gpu`"
    check = snapshot["check"]
    if check and check["verdict"] != "pass":
        first = min(check["wrong"], key=lambda one: (one["status"] != "fail", one["layer"]), default=None)
        told = f": layer {first['layer']} {first['id']}: {first['summary']}" if first else ""
        yield f"check-gpu says {check['verdict']}{told}"
    service = snapshot["service"]
    if service and service["enabled"] and service["active"] not in ("active", "activating", "reloading"):
        why = f" ({service['result']})" if service["result"] not in ("", "success") else ""
        yield f"the service is {service['active']}{why}: `journalctl -u {service['unit']}`"
    outbox = snapshot["outbox"] or {}
    if outbox.get("problem"):
        yield f"Alyx: {outbox['problem']}"
    elif outbox.get("oldest") and snapshot["time"] - outbox["oldest"] > _OUTBOX_OLD_S:
        yield f"{outbox['waiting']} messages have waited for Alyx for more than a day"
    yield from seen.attention(outbox)


def _disks(snapshot: dict[str, Any]) -> Iterator[str]:
    for disk in snapshot["disks"]:
        if disk["free"] is None:
            yield f"the disk of {disk['name']} {disk['path']} does not answer"
        elif not disk["exists"] and disk["name"] == "subjects_dir":  # the state folder is made when it is needed
            yield f"there is no {disk['name']} {disk['path']}"
        elif disk["free"] < snapshot["min_free_gb"] * 1e9:
            yield f"{disk['path']} has {disk['free'] / 1e9:.2f} GB free: no job is started"
        elif disk["days_left"] is not None and disk["days_left"] < _FULL_SOON_DAYS:
            yield f"{disk['path']} is full in about {disk['days_left']:.1f} days at the present rate"
