"""What ``process`` and ``queue add`` say."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, plain


def process(data: dict[str, Any]) -> list[str]:
    """What became of every video, or would."""
    if data.get("watched"):
        counted = ", ".join(f"{count} {status}" for status, count in data["queue"].items() if count)
        return [f"stopped; in the queue: {counted or 'no jobs'}"]
    if data.get("dry_run") and "tasks" in data:
        tasks = [(task["id"], task["name"], plain(task["path"] or task["session"])) for task in data["tasks"]]
        return [*columns(tasks), f"{len(tasks)} tasks wait"]
    if data.get("dry_run"):
        lines = [f"would be tracked: {plain(video)}" for video in data["videos"]]
        days = "not known before a first job" if data["gpu_days"] is None else f"{data['gpu_days']:g}"
        lines.append(f"{len(data['videos'])} videos; days of work on this server: {days}")
        return lines + _skipped(data)
    lines = [f"repaired: {plain(change['what'])}" for change in data["repaired"]]
    rows = []
    for job in data["jobs"]:
        if job["status"] == "Complete":
            told = f"{job['frames']} frames, {job['fps']:.1f} frames/s" if job["frames"] else " ".join(job["warnings"])
            rows.append((job["status"], job["session"], job["camera"], told, job["output"]))
        else:
            rows.append((job["status"], job["session"], job["camera"], job.get("code") or job.get("because", ""), ""))
    lines += columns(rows)
    for job in data["jobs"]:
        for warning in job.get("warnings", ()) if job.get("frames") else ():
            lines.append(f"warning: {plain(job['session'])} {job['camera']}: {plain(warning)}")
    lines += _skipped(data)
    if data.get("outbox"):
        lines.append(f"{data['outbox']} messages wait for Alyx")
    return lines or ([] if data["skipped"] else ["nothing to do"])


def added(data: dict[str, Any]) -> list[str]:
    """The jobs of ``queue add``."""
    rows = ((f"job {job['id']}", job["status"], job["session"], job["camera"]) for job in data["jobs"])
    lines = columns(rows)
    lines += _skipped(data)
    return [*lines, f"the queue is held {plain(data['held'])}"] if data["held"] else lines or ["nothing to add"]


def _skipped(data: dict[str, Any]) -> list[str]:
    return [f"skipped: {plain(s['video'])}: {plain(s['because'])}" for s in data["skipped"] if not s["code"]]
