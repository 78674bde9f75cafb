"""What ``check-gpu`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, plain, sentence


def check(data: dict[str, Any]) -> list[str]:
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
        lines.append(f"{sentence(_told('Not known', unknown))} {told}" if unknown and below else told)
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
