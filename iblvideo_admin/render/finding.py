"""What ``find`` says."""

from __future__ import annotations

from typing import Any

from iblvideo_admin.render.text import columns, plain


def found(data: dict[str, Any]) -> list[str]:
    """Each camera of each session: here, and in Alyx."""
    lines = []
    for session in data["sessions"]:
        lines.append(plain(session["path"]) + (f"  {session['id']}" if session["id"] else ""))
        rows = [
            ("", name, _here(camera), _there(camera, session["asked"])) for name, camera in session["cameras"].items()
        ]
        lines += columns(rows) or ["  no video and no trace"]
    if data["because"]:
        lines.append(f"Alyx was not asked: {plain(data['because'])}")
    return lines


def _here(camera: dict[str, Any]) -> str:
    local = camera["local"]
    if local is None:
        return "not tracked here" if camera["video"] else "no video here"
    return f"here, {local['weights'] or 'nobody knows which weights'}"


def _there(camera: dict[str, Any], asked: bool) -> str:
    there = camera["registered"]
    if there is None:
        return "not registered" if asked else ""
    where = ", ".join(map(plain, there["on"])) or "no repository has it"
    differs = "; not the file that is here" if camera["agree"] is False else ""
    doubled = "; twice in Alyx: one must be removed there" if there["doubled"] else ""
    version = plain(there["version"]) if there["version"] else "no version"
    return f"registered ({version}) on {where}{differs}{doubled}"
