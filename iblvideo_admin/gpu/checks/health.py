"""Layer 10: the cards are well, have room, and nothing in the environment turns CUDA's head."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import yaml

from iblvideo_admin import gpu as package
from iblvideo_admin.gpu import choice
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.inventory import Gpu

ID, LAYER, NEEDS, NEEDS_GPU = "health", 10, ("nvml",), True
# The left camera's region stage, the largest, took 3.4 GB on a CPU; TensorFlow makes do with less, more slowly.
_LEAST, _GOOD = 2 << 30, 4 << 30
_HOT = 95  # °C, where the card does not say at which temperature it slows down
_WORN = 60  # retired pages from which on NVIDIA replaces a card


def check(context: Context) -> Finding:
    """Memory, other people's processes, retired pages, temperature, modes; odd environment variables."""
    cards = choice.allowed(context.settings, context.inventory)
    findings = [found for gpu in cards for found in (_memory(gpu), _modes(gpu), *_wear(gpu), _heat(gpu)) if found]
    findings += _environment()
    good = Finding("pass", "memory free, nothing else computes, no retired pages pending, temperature and modes good",
                   "; ".join(map(_noted, cards)))  # fmt: skip
    return worst([*findings, good]) if findings else good


def _memory(gpu: Gpu) -> Finding | None:
    if gpu.memory_free is None or gpu.memory_total is None:
        return Finding("skip", f"{_name(gpu)} does not report its memory", "", _look_at(gpu))
    others = [process for process in gpu.processes or () if not process.ours]
    computing = [process for process in others if not process.graphics]
    # what a job of ours holds is there for jobs of ours
    room = gpu.memory_free + sum(process.memory or 0 for process in gpu.processes or () if process.ours)
    told = f"{_name(gpu)} has {_mib(room)} of {_mib(gpu.memory_total)} free"
    if gpu.memory_total < _LEAST:
        summary = f"{_name(gpu)} is too small: tracking needs {_mib(_LEAST)}"
        return Finding("fail", summary, told, f"Leave GPU {gpu.index} out of the setting gpus.")
    if room < _GOOD:
        status = "fail" if room < _LEAST else "warn"
        named = ", ".join(map(str, others)) or ("no process is reported" if gpu.processes is None else "no process")
        summary = f"{told}, tracking needs {_mib(_LEAST if status == 'fail' else _GOOD)}"
        return Finding(status, summary, f"used by {named}", _free(gpu))
    if computing:
        named = ", ".join(map(str, computing))
        return Finding("warn", f"others compute on {_name(gpu)}: {named}", told, _free(gpu))
    return None


def _free(gpu: Gpu) -> str:
    """How the card's memory comes free."""
    computing = [process for process in gpu.processes or () if not process.graphics and not process.ours]
    if not computing:
        return f"See `nvidia-smi -i {gpu.index}` and `fuser -v /dev/nvidia*`, and end what needs not run."
    numbers = " ".join(str(process.pid) for process in computing)
    users = ", ".join(sorted({process.user or "its owner" for process in computing}))
    return f"Ask {users} to end it (`kill {numbers}`), or leave GPU {gpu.index} out of the setting gpus until then."


def _modes(gpu: Gpu) -> Finding | None:
    remedy = f"Type `nvidia-smi -i {gpu.index} -c DEFAULT`."
    if gpu.compute_mode == "prohibited":
        return Finding("fail", f"{_name(gpu)} is in compute mode prohibited: no program may compute on it",
                       "NVML: compute mode prohibited", remedy)  # fmt: skip
    if gpu.compute_mode in ("exclusive_process", "exclusive_thread"):
        taken = [process for process in gpu.processes or () if not (process.graphics or process.ours)]
        summary = f"{_name(gpu)} is in compute mode {gpu.compute_mode}: one program at a time"
        return Finding("fail" if taken else "warn", summary, "taken by " + ", ".join(map(str, taken)) if taken else "",
                       remedy)  # fmt: skip
    return None


def _wear(gpu: Gpu) -> list[Finding]:
    found = []
    if gpu.repair_failed or (gpu.retired_pages or 0) >= _WORN:
        seen = "a row of memory could not be replaced" if gpu.repair_failed else f"{gpu.retired_pages} retired pages"
        found.append(Finding("fail", f"{_name(gpu)}'s memory is worn out", seen, "Have the card replaced."))
    if gpu.repair_pending:
        summary = f"{_name(gpu)} has memory with errors that goes out of use at the next reset"
        found.append(Finding("warn", summary, "retired pages or remapped rows are pending", "Type `reboot` when idle."))
    return found


def _heat(gpu: Gpu) -> Finding | None:
    limit = gpu.temperature_limit or _HOT
    if gpu.temperature is None or gpu.temperature < limit:
        return None
    return Finding("warn", f"{_name(gpu)} is at {gpu.temperature} °C and slows down from {limit} °C on", "",
                   "Clean its fans and filters, and see to the room's cooling.")  # fmt: skip


def _environment() -> list[Finding]:
    """What is odd in the environment that this command, and so its unit, runs in."""
    found = []
    for name, odd, means, other in _odd_variables():
        value = os.environ.get(name)
        if value is not None and odd.fullmatch(value):
            remedy = other or f"Type `unset {name}`, and remove it from the unit or the profile that sets it."
            found.append(Finding("warn", f"{name}={value[:80]} {means}", "", remedy))
    return found


@cache
def _odd_variables() -> tuple[tuple[str, re.Pattern[str], str, str], ...]:
    rows = yaml.safe_load((Path(package.__file__).with_name("environment.yml")).read_text(encoding="utf-8"))
    return tuple((row["name"], re.compile(row["odd"], re.DOTALL), row["means"], row.get("remedy", "")) for row in rows)


def _noted(gpu: Gpu) -> str:
    """The card's state in a line; what it does not report is N/A."""
    free = "N/A" if gpu.memory_free is None else _mib(gpu.memory_free)
    notes = [f"{_name(gpu)}: {free} free, {gpu.temperature or 'N/A'} °C, compute mode {gpu.compute_mode or 'N/A'}"]
    notes += ["processes N/A (an old driver)"] if gpu.processes is None else []
    notes += ["draws a display"] if gpu.display else []
    if gpu.persistence is False and not gpu.display:
        notes.append("persistence mode off, so each start waits for the card (`nvidia-smi -pm 1`)")
    return ", ".join(notes)


def _look_at(gpu: Gpu) -> str:
    return f"See what `nvidia-smi -q -i {gpu.index}` says."


def _name(gpu: Gpu) -> str:
    return f"GPU {gpu.index} {gpu.name or 'N/A'}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
