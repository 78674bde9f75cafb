"""What the commands of ``queue`` say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iblvideo_admin.render.text import columns, plain, when


def list_(data: dict[str, Any]) -> list[str]:
    """A line for each job."""
    rows: list[Sequence[object]] = [("id", "status", "session", "camera", "since", "")]
    for job in data["jobs"]:
        state = job["state"]
        told = state.get("code") or state.get("because") or (f"{state['frames']} frames" if state.get("frames") else "")
        rows.append((job["id"], job["status"], job["session"], job["camera"], when(state["since"]), told))
    lines = columns(rows) if data["jobs"] else ["no jobs"]
    return lines + ([f"the queue is held {plain(data['held'])}"] if data["held"] else [])


def show(data: dict[str, Any]) -> list[str]:
    """One job in full."""
    job = data["job"]
    lines = columns((key, _shown(key, value)) for key, value in job.items() if key != "state")
    lines += columns((f"  {key}", _shown(key, value)) for key, value in job["state"].items() if key != "status")
    lines += columns((when(e["time"]), e["status"], e["who"], e["why"]) for e in data["events"])
    return lines + [plain(path) for path in data["files"]]


def _shown(key: str, value: Any) -> str:
    """A field as a person reads it."""
    if key in ("created", "since", "not_before", "until", "acknowledged", "pruned"):
        return when(value) if value else ""
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def held(data: dict[str, Any]) -> list[str]:
    """Whether the queue, or a job, is held."""
    if "job" in data:
        return [f"job {data['job']['id']} is {data['job']['status']}"]
    return [f"the queue is held {plain(data['held'])}" if data["held"] else "the queue runs"]


def changed(data: dict[str, Any]) -> list[str]:
    """Jobs after something was done to them."""
    return [_changed(job) for job in data["jobs"]]


def _changed(job: dict[str, Any]) -> str:
    more = ", being ended" if job["wish"] == "cancel" else ", acknowledged" if job["acknowledged"] else ""
    priority = f", priority {job['priority']}" if job["priority"] else ""
    return f"job {job['id']} is {job['status']}{more}{priority}"


def repaired(data: dict[str, Any]) -> list[str]:
    """What was not as the folders say."""
    lines = [plain(change["what"] if change["job"] is None else f"job {change['job']}: {change['what']}")
             for change in data["changes"]]  # fmt: skip
    held = [f"the queue is held {plain(data['held'])}"] if data["held"] else []
    return [*lines, *held] or ["the ledger agrees with the folders"]


def pruned(data: dict[str, Any]) -> list[str]:
    """Folders removed, or that would be."""
    would = "would be removed" if data["dry_run"] else "removed"
    numbers = ", ".join(map(str, data["jobs"]))
    return [f"folders {would}: {len(data['jobs'])}" + (f" (jobs {numbers})" if numbers else "")]
