"""What ``status`` says: one screen, as wide as the terminal; of everything that needs a person, last."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from iblvideo_admin.render.amounts import count, memory, size, span
from iblvideo_admin.render.text import plain, when

_NARROW = 64  # below, what a line is about stands above it
_LABEL = 10
_GOOD, _BAD, _WARN, _DIM = "green", "bold red", "yellow", "dim"
_UNWRAPPED = 10_000  # where no terminal wraps: one fact is one line
_OF_STATUS = {"Errored": _BAD, "Held": _WARN, "Started": "cyan", "Complete": _GOOD}
_STAGES = {"starting": "starting the networks", "regions": "looking for the mouse"}
_SHOWN = 8  # running jobs, workers and the like: a screen is a screen

Row = tuple[str, list[Text]]


def status(data: dict[str, Any]) -> list[str]:
    """One screen for standard output, with colours where that is a terminal that shows them."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console = Console(file=sys.stdout, highlight=False, width=_UNWRAPPED)
    with console.capture() as captured:
        console.print(screen(data, console.width, blocks=_has_blocks(console.encoding)))
    return [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]


def screen(data: dict[str, Any], width: int, *, blocks: bool = True, watched: bool = False) -> Table:
    """The screen for a terminal of ``width`` columns; ``blocks`` says whether it knows block characters.

    One that is ``watched`` is cut at the terminal's last line, so what needs a person stands at its top.
    """
    narrow = width < _NARROW
    bars = _Bars(8 if width < 90 else 16, blocks)
    grid = Table.grid(padding=(0, 2, 0, 0), expand=False)
    if not narrow:
        grid.add_column(width=_LABEL, no_wrap=True)
    grid.add_column(overflow="fold", ratio=None)
    rows = list(_rows(data, bars))
    if watched:
        rows.insert(1, rows.pop())
    for label, lines in rows:
        name = Text(label, style="bold")
        if narrow:
            grid.add_row(name)
            for line in lines:
                grid.add_row(Padding(line, (0, 0, 0, 2)))
        else:
            for index, line in enumerate(lines):
                grid.add_row(name if index == 0 else Text(""), line)
    return grid


class _Bars:
    """Bars of one width."""

    def __init__(self, width: int, blocks: bool) -> None:
        self._width = width
        self._full, self._empty = ("█", "░") if blocks else ("#", ".")

    def __call__(self, part: float, style: str) -> Text:
        """A bar of which this part (0 to 1) is full; whatever is not nothing shows."""
        part = min(max(part, 0.0), 1.0)
        full = min(self._width, max(round(part * self._width), int(part > 0)))
        return Text().append(self._full * full, style=style).append(self._empty * (self._width - full), style=_DIM)


def _rows(data: dict[str, Any], bars: _Bars) -> Iterator[Row]:
    yield "server", [_server(data)]
    yield "toolchain", [_toolchain(data)]
    yield "check-gpu", [_check(data)]
    yield "service", list(_service(data))
    yield from _gpus(data, bars)
    yield "queue", list(_queue(data))
    if data["running"]:
        yield "running", [line for job in data["running"][:_SHOWN] for line in _running(job, bars)]
    if data["recent"]:
        yield "last", [_ended(job, data["time"]) for job in data["recent"]]
    if data["failures"]:
        yield "failures", list(_failures(data["failures"]))
    yield "disks", [_disk(disk, bars) for disk in data["disks"]]
    yield "outbox", [_outbox(data)]
    wanted = [Text(f"{number}. {plain(text)}", style=_BAD) for number, text in enumerate(data["attention"], 1)]
    yield "attention", wanted or [Text("nothing needs you", style=_GOOD)]


def _server(data: dict[str, Any]) -> Text:
    age = f", {span(data['age_s'])} ago" if data["age_s"] >= 1 else ""
    return Text(f"{plain(data['host'])}, {when(data['time'])}{age}").append(
        f", settings from {plain(', '.join(data['settings_from']))}", style=_DIM
    )


def _toolchain(data: dict[str, Any]) -> Text:
    versions = data["versions"]
    driver = f", driver {plain(versions['driver'])}" if versions["driver"] else ""
    return Text(f"{data['toolchain']['name']}{driver}, iblvideo-admin {versions['iblvideo_admin']}")


def _check(data: dict[str, Any]) -> Text:
    check = data["check"]
    if check is None:
        return Text("not run yet: iblvideo-admin check-gpu", style=_WARN)
    style = _GOOD if check["verdict"] == "pass" else _BAD
    more = ", layers 1 to 10" if check["level"] == "quick" else ""
    line = Text().append(check["verdict"], style=style).append(f" {span(data['time'] - check['time'])} ago{more}")
    for wrong in check["wrong"][:1]:
        line.append(f"; layer {wrong['layer']} {wrong['id']}: {plain(wrong['summary'])}", style=style)
    return line


def _service(data: dict[str, Any]) -> Iterator[Text]:
    service = data["service"]
    if service is None:
        yield Text("none here", style=_DIM)
    else:
        since = f" for {span(data['time'] - service['since'])}" if service["since"] else ""
        style = _GOOD if service["active"] == "active" else _BAD if service["enabled"] else _DIM
        yield (
            Text()
            .append(service["active"], style=style)
            .append(since + ("" if service["enabled"] else ", not enabled"))
        )
    for at in data["workers"][:_SHOWN]:
        why = f": {plain(at['reason'])}" if at["reason"] else ""
        yield Text(f"worker at {plain(at['device'])}, process {at['pid']}{why}", style=_WARN if why else "")


def _gpus(data: dict[str, Any], bars: _Bars) -> Iterator[Row]:
    if not data["gpus"]:
        needed = data["toolchain"]["needs_gpu"]
        why = f": {plain(data['gpus_problem'])}" if needed and data["gpus_problem"] else ""
        yield "GPUs", [Text(f"none{why}", style=_BAD if needed else _DIM)]
    for gpu in data["gpus"]:
        lines = [Text(plain(gpu["name"] or "N/A"))]
        if gpu["lost"]:
            lines.append(Text(f"lost: {plain(gpu['problem'] or 'it does not answer')}", style=_BAD))
        else:
            lines.append(_load(gpu, bars))
            lines += [_process(process) for process in (gpu["processes"] or ())[:_SHOWN]]
        yield f"GPU {gpu['index']}", lines


def _load(gpu: dict[str, Any], bars: _Bars) -> Text:
    use, temperature, limit = gpu["utilization"], gpu["temperature"], gpu["temperature_limit"]
    line = Text("use N/A") if use is None else Text("use ").append_text(bars(use / 100, "cyan")).append(f" {use} %")
    total = gpu["memory_total"]
    line.append(f"   {memory(gpu['memory_used'])} of {memory(total)} GiB" if total else "   memory N/A")
    hot = temperature is not None and limit is not None and temperature >= limit - 5
    degrees = "temperature N/A" if temperature is None else f"{temperature} °C"
    return line.append(f"   {degrees}", style=_BAD if hot else "")


def _process(process: dict[str, Any]) -> Text:
    who = "ours" if process["ours"] else f"of {plain(process['user'] or 'somebody')}"
    used = "" if process["memory"] is None else f", {memory(process['memory'])} GiB"
    return Text(f"  {plain(process['command'] or 'process')} {process['pid']} {who}{used}", style=_DIM)


def _queue(data: dict[str, Any]) -> Iterator[Text]:
    counted = Text(", ").join(
        Text(f"{count(number)} {status}", style=_OF_STATUS.get(status, ""))
        for status, number in data["queue"].items()
        if number
    )
    yield counted or Text("no jobs", style=_DIM)
    if data["held"]:
        yield Text(f"held {plain(data['held'])}", style=_WARN)
    if data["queue"]["Waiting"] and data["waiting_s"]:
        yield Text(f"about {span(data['waiting_s'])} of work wait", style=_DIM)
    day = data["last_day"]
    if day["complete"] or day["failed"]:
        failed = f", {day['failed']} failed" if day["failed"] else ""
        yield Text(f"last 24 h: {day['complete']} videos, {count(day['frames'])} frames{failed}", style=_DIM)


def _running(job: dict[str, Any], bars: _Bars) -> Iterator[Text]:
    name = Text(f"{plain(job['session'])} {job['camera']}")
    if job["stuck"]:
        name.append("  stuck", style=_BAD)
    yield name
    done, total, stage = job["frames_done"], job["frames_total"], job["stage"]
    if stage != "tracking" or not total:
        yield Text(f"  {_STAGES.get(stage, 'starting')}", style=_DIM)
        return
    line = Text("  ").append_text(bars(done / total, _BAD if job["stuck"] else "cyan"))
    line.append(f" {100 * done / total:.0f} %   {count(done)} of {count(total)}")
    if job["fps"]:
        line.append(f"   {job['fps']:.1f} frames/s")
    if job["eta_s"]:
        line.append(f"   {span(job['eta_s'])} left")
    yield line


def _ended(job: dict[str, Any], now: float) -> Text:
    line = Text(f"{plain(job['session'])} {job['camera']}  ")
    if job["status"] == "Complete":
        line.append(f"{count(job['frames'])} frames", style=_GOOD)
        line.append(f", {job['fps']:.1f} frames/s" if job["fps"] else "")
    else:
        line.append(plain(job.get("code", job["status"])), style=_BAD)
    return line.append(f", {span(now - job['since'])} ago", style=_DIM)


def _failures(failures: Iterable[dict[str, Any]]) -> Iterator[Text]:
    """By code, the most frequent first."""
    failures = list(failures)
    for code, number in Counter(failed["code"] for failed in failures).most_common():
        of = [failed for failed in failures if failed["code"] == code]
        jobs = ", ".join(str(failed["id"]) for failed in of[:_SHOWN]) + (", ..." if number > _SHOWN else "")
        known = sum(failed["acknowledged"] for failed in of)
        line = Text().append(f"{number} x {plain(code)}", style=_DIM if known == number else _BAD)
        yield line.append(f"  (jobs {jobs}{f'; {known} acknowledged' if known else ''})", style=_DIM)


def _disk(disk: dict[str, Any], bars: _Bars) -> Text:
    if disk["free"] is None:
        return Text(f"{plain(disk['path'])} does not answer", style=_BAD)
    used = 1 - disk["free"] / max(disk["total"], 1)
    line = bars(used, _BAD if used > 0.95 else _WARN if used > 0.85 else _GOOD)
    line.append(f" {size(disk['free'])} of {size(disk['total'])} free  {plain(disk['path'])}")
    if not disk["exists"]:
        return line.append(" is not there", style=_BAD if disk["name"] == "subjects_dir" else _DIM)
    if disk["days_left"] is not None:
        style = _BAD if disk["days_left"] < 7 else _WARN if disk["days_left"] < 30 else _DIM
        line.append(f", about {disk['days_left']:.0f} days left ({size(disk['per_day'])} a day)", style=style)
    return line


def _outbox(data: dict[str, Any]) -> Text:
    outbox = data["outbox"] or {}
    if outbox.get("problem"):
        waiting = f"{outbox['waiting']} wait: " if outbox.get("waiting") else ""
        return Text(f"{waiting}{plain(outbox['problem'])}", style=_BAD)
    if not outbox.get("waiting"):
        return Text("nothing waits for Alyx", style=_DIM)
    since = f", the oldest for {span(data['time'] - outbox['oldest'])}" if outbox.get("oldest") else ""
    return Text(f"{outbox['waiting']} wait for Alyx{since}", style=_WARN)


def _has_blocks(encoding: str) -> bool:
    try:
        "█░".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
