"""Filters that make one table, one JSON document and one page of what many servers' `status --json` say."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).resolve().parents[3] / "iblvideo_admin/reporting/page"
_HEAD = ("server", "check-gpu", "toolchain", "service", "waiting", "running", "failed", "free", "attention")
_KEYS = {"host", "time", "queue", "running", "failures", "disks", "attention", "toolchain", "check", "service", "gpus"}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "fleet_answer": fleet_answer,
            "fleet_table": fleet_table,
            "fleet_json": fleet_json,
            "fleet_page": fleet_page,
        }


def fleet_answer(result: dict[str, Any]) -> dict[str, Any]:
    """One server: ``answers``, its status ``data`` (None without an answer), and ``why`` there is none."""
    try:
        data = json.loads(result.get("stdout", ""))
        errors = [f"{error['code']}: {error['message']}" for error in data.get("errors") or []]
        data = data["data"]
        if isinstance(data, dict) and _KEYS <= data.keys():
            return {"answers": True, "data": data, "why": ""}
        why = "; ".join(errors) or "it says nothing that this version understands"
    except (ValueError, TypeError, KeyError, AttributeError):
        said = (result.get("stderr") or result.get("msg") or "").strip().split("\n")[-1]
        why = said or "it does not answer"
    return {"answers": False, "data": None, "why": why}


def fleet_table(hosts: list[str], hostvars: Any) -> list[str]:
    """A line for each server, in columns, and what needs a person below them."""
    rows = [_HEAD, *(_row(host, _answer(hostvars, host)) for host in hosts)]
    cells = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return lines + [f"{host}: {text}" for host in hosts for text in _wanted(_answer(hostvars, host))]


def fleet_json(hosts: list[str], hostvars: Any, now: float | None = None) -> str:
    """One document of all servers."""
    servers = {host: _answer(hostvars, host) for host in hosts}
    return json.dumps({"schema": 1, "time": time.time() if now is None else now, "servers": servers}, indent=1) + "\n"


def fleet_page(hosts: list[str], hostvars: Any, now: float | None = None) -> str:
    """One page of all servers, every value escaped; it asks for nothing outside itself."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(_PAGE)
    )
    moment = time.time() if now is None else now
    servers = [{"name": host, **_answer(hostvars, host)} for host in hosts]
    for server in servers:
        server["row"] = [_plain(cell) for cell in _row(server["name"], server)]
        server["wanted"] = _wanted(server)
    return environment.get_template("servers.html.j2").render(
        servers=servers,
        head=_HEAD,
        time=moment,
        said=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)),
        iso=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
        css=Markup((_PAGE / "report.css").read_text("utf-8")),  # noqa: S704  our own file
        js=Markup((_PAGE / "report.js").read_text("utf-8")),  # noqa: S704
    )


def _answer(hostvars: Any, host: str) -> dict[str, Any]:
    known = hostvars[host].get("__iblvideo_admin_fleet")
    return dict(known or {"answers": False, "data": None, "why": "it does not answer"})


def _wanted(answer: dict[str, Any]) -> list[str]:
    """What needs a person, a sentence each."""
    return [_plain(text) for text in (answer["data"]["attention"] if answer["answers"] else [answer["why"]])]


def _row(host: str, answer: dict[str, Any]) -> tuple[Any, ...]:
    """The cells of a server's line."""
    if not answer["answers"]:
        return (host, "no answer", "", "", "", "", "", "", 1)
    data = answer["data"]
    free = min((disk["free"] for disk in data["disks"] if disk["free"] is not None), default=None)
    return (
        host,
        (data["check"] or {}).get("verdict", "not run"),
        data["toolchain"]["name"],
        (data["service"] or {}).get("active", "none"),
        data["queue"].get("Waiting", 0),
        len(data["running"]),
        sum(not failed.get("acknowledged") for failed in data["failures"]),
        "N/A" if free is None else f"{free / 1e9:.0f} GB",
        len(data["attention"]),
    )


def _plain(value: Any) -> str:
    """On one line and without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))
