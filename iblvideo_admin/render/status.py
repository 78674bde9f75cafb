"""What ``status`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, when


def status(data: dict[str, Any]) -> list[str]:
    """One screen."""
    counted = ", ".join(f"{count} {status}" for status, count in data["queue"].items() if count)
    rows = [
        ("host", f"{data['host']}, {when(data['time'])}, settings from {', '.join(data['settings_from'])}"),
        ("toolchain", f"{data['toolchain']['name']} ({data['toolchain']['interpreter']})"),
        ("GPUs", "; ".join(f"{g['index']}: {g['name'] or 'N/A'}" for g in data["gpus"]) or "none"),
        ("queue", (counted or "no jobs") + (f"; held {data['held']}" if data["held"] else "")),
    ]
    rows += [
        ("worker", f"{at['device']}, process {at['pid']}" + (f": {at['reason']}" if at["reason"] else ""))
        for at in data["workers"]
    ]
    for job in data["running"]:
        fps = f", {job['fps']:g} frames/s" if job["fps"] else ""
        rows.append(("running", f"{job['session']} {job['camera']}: {job['stage']} {job['frames_done']} of "
                                f"{job['frames_total']}{fps}"))  # fmt: skip
    if last := data["last_complete"]:
        rows.append(("last", f"{last['session']} {last['camera']}, {last['frames']} frames, {when(last['since'])}"))
    rows += [("disk", f"{d['path']}: {d['free'] / 1e9:.0f} of {d['total'] / 1e9:.0f} GB free") for d in data["disks"]]
    rows += [("attention", text) for text in data["attention"]] or [("attention", "nothing needs you")]
    return columns(rows)
