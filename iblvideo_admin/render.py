"""From a command's result to what a person reads, or to the JSON document.

Text goes to standard output, errors to standard error; every message is one line, whatever a file is called.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from iblvideo_admin.result import Result


def render(result: Result, *, as_json: bool) -> None:
    """Write the result where it belongs."""
    if as_json:
        text = json.dumps(result.document(), allow_nan=False, default=str)
        sys.stdout.write(text + "\n")
        return
    to_text = _TEXT.get(result.command)
    lines = to_text(result.data) if to_text and result.data else []
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    if lines and result.command in _TELLS_WHAT_IS_WRONG:
        return
    for problem in result.errors:
        remedy = f" {problem.remedy}" if problem.remedy else ""
        sys.stderr.write(f"error {problem.code}: {_ended(plain(problem.message))}{plain(remedy)}\n")


def plain(text: object) -> str:
    """On one line and without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """Rows of cells in columns as wide as their widest cell."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells), default=0))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in cells]


def _process(data: dict[str, Any]) -> list[str]:
    if data.get("dry_run"):
        lines = [f"would be tracked: {plain(video)}" for video in data["videos"]]
        days = "not known before a first job" if data["gpu_days"] is None else f"{data['gpu_days']:g}"
        lines.append(f"{len(data['videos'])} videos; days of work on this server: {days}")
        return lines + _skipped(data)
    rows = []
    for job in data["jobs"]:
        if job["status"] == "Complete":
            told = f"{job['frames']} frames, {job['fps']:.1f} frames/s" if job["frames"] else " ".join(job["warnings"])
            rows.append((job["status"], job["session"], job["camera"], told, job["output"]))
        else:
            rows.append((job["status"], job["session"], job["camera"], job.get("code") or job.get("because", ""), ""))
    lines = columns(rows)
    for job in data["jobs"]:
        for warning in job.get("warnings", ()) if job.get("frames") else ():
            lines.append(f"warning: {plain(job['session'])} {job['camera']}: {plain(warning)}")
    lines += _skipped(data)
    return lines or ([] if data["skipped"] else ["nothing to do"])


def _skipped(data: dict[str, Any]) -> list[str]:
    return [f"skipped: {plain(s['video'])}: {plain(s['because'])}" for s in data["skipped"] if not s["code"]]


def _check(data: dict[str, Any]) -> list[str]:
    """The verdict first (Nagios shows the first line), a table of layers, and what is to be done about the lowest."""
    words = {"pass": "pass", "warn": "WARN", "fail": "FAIL", "skip": "SKIPPED"}
    checks = data["checks"]
    first = next((check for check in checks if check["status"] == "fail"), None)
    only = " (layers 1 to 10 only)" if data["level"] == "quick" else ""
    at = f", layer {first['layer']} {first['id']}" if first else ""
    lines = [f"check-gpu{only}: {data['verdict']}{at}, toolchain {data['toolchain']}"]
    lines += columns((words[c["status"]], f"{c['layer']:2d} {c['id']}", plain(c["summary"])) for c in checks)
    for check in checks:
        if check["status"] == "warn":
            told = ". ".join(text.rstrip(".") for text in (check["evidence"], check["remedy"]) if text)
            lines.append(f"warning, layer {check['layer']} {check['id']}: {plain(told)}")
    # the lowest layer with a reason of its own, not one that only depends on another
    unknown = next((check for check in checks if check["status"] == "skip" and check["remedy"]), None)
    if first:
        told = _told("Wrong first", first)
        below = unknown is not None and unknown["layer"] < first["layer"]  # it may be why, so it is told before
        lines.append(f"{_ended(_told('Not known', unknown))} {told}" if unknown and below else told)
    elif data["verdict"] == "unknown":
        lines.append(
            _told("Not known", unknown) if unknown else "Not known: none of these layers applies to the toolchain."
        )
    return [*lines, f"toolchain for this host: {data['recommended_toolchain']}"]


def _told(what: str, check: dict[str, Any]) -> str:
    """One paragraph: what, why we think so, what to type."""
    seen = f" Seen: {check['evidence'].rstrip('.')}." if check["evidence"] else ""
    do = f" What to do: {check['remedy']}" if check["remedy"] else ""
    return plain(f"{what}: layer {check['layer']} {check['id']}: {check['summary'].rstrip('.')}.{seen}{do}")


def _list(data: dict[str, Any]) -> list[str]:
    rows: list[Sequence[object]] = [("id", "status", "session", "camera", "since", "")]
    for job in data["jobs"]:
        state = job["state"]
        told = state.get("code") or state.get("because") or (f"{state['frames']} frames" if state.get("frames") else "")
        rows.append((job["id"], job["status"], job["session"], job["camera"], when(state["since"]), told))
    lines = columns(rows) if data["jobs"] else ["no jobs"]
    return lines + ([f"the queue is held {plain(data['held'])}"] if data["held"] else [])


def _show(data: dict[str, Any]) -> list[str]:
    job = data["job"]
    lines = columns((key, _shown(key, value)) for key, value in job.items() if key != "state")
    lines += columns((f"  {key}", _shown(key, value)) for key, value in job["state"].items() if key != "status")
    lines += columns((when(e["time"]), e["status"], e["who"], e["why"]) for e in data["events"])
    return lines + [plain(path) for path in data["files"]]


def _shown(key: str, value: Any) -> str:
    """A field as a person reads it."""
    if key in ("created", "since", "not_before"):
        return when(value) if value else ""
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _held(data: dict[str, Any]) -> list[str]:
    if "job" in data:
        return [f"job {data['job']['id']} is {data['job']['status']}"]
    return [f"the queue is held {plain(data['held'])}" if data["held"] else "the queue runs"]


def _status(data: dict[str, Any]) -> list[str]:
    counted = ", ".join(f"{count} {status}" for status, count in data["queue"].items() if count)
    rows = [
        ("host", f"{data['host']}, {when(data['time'])}, settings from {', '.join(data['settings_from'])}"),
        ("toolchain", f"{data['toolchain']['name']} ({data['toolchain']['interpreter']})"),
        ("GPUs", "; ".join(f"{g['index']}: {g['name'] or 'N/A'}" for g in data["gpus"]) or "none"),
        ("queue", (counted or "no jobs") + (f"; held {data['held']}" if data["held"] else "")),
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


def _config(data: dict[str, Any]) -> list[str]:
    lines = columns((name, "" if value is None else value) for name, value in data["settings"].items())
    return [*lines, f"from: {', '.join(data['sources']) or 'defaults'}"]


def _files(data: dict[str, Any]) -> list[str]:
    return columns((file["path"], "" if file["exists"] else "(absent)") for file in data["files"])


def when(seconds: float) -> str:
    """A moment for people, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


_TEXT: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "process": _process,
    "check-gpu": _check,
    "queue list": _list,
    "queue show": _show,
    "queue hold": _held,
    "queue release": _held,
    "status": _status,
    "config show": _config,
    "config path": _files,
}
_TELLS_WHAT_IS_WRONG = {"check-gpu"}  # its text is one paragraph about just that
