"""What NVIDIA's driver wrote into the kernel log (kernel_log.yml): its errors, and why it refused a card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from iblvideo_admin.gpu.checks.base import Finding

_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)\b")
_CARD = re.compile(r"\b([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-9])?)\b")


def xids(log: Sequence[str]) -> list[tuple[str, Finding]]:
    """Card and finding for each kind of Xid error of each card, with its last line and how often it came."""
    seen: dict[tuple[str, int], list[str]] = {}
    for line in log:
        if match := _XID.search(line):
            seen.setdefault((match[1].lower(), int(match[2])), []).append(line.strip())
    return [(card, _xid(card, number, lines)) for (card, number), lines in seen.items()]


def refusal(log: Sequence[str], *, held: bool) -> Finding | None:
    """Why the module refused a card or could not start it, by the log's last word on it; None where it has none.

    ``held``: the module holds every card by now, so that most such words are of the past: a warning.
    """
    for line in reversed(log):
        for known in _known()["refusals"]:
            if re.search(known["match"], line) and not _XID.search(line):
                status = "warn" if held and not known.get("lasting") else "fail"
                return Finding(status, f"the driver wrote: {known['meaning']}", line.strip(), known["remedy"])
    return None


def card_of(line: str) -> str:
    """The PCI address that a line names; empty where it names none."""
    match = _CARD.search(line)
    return match[1] if match else ""


def unsigned(log: Sequence[str]) -> str | None:
    """The line with which the kernel refused a module without a signature that it trusts; None where there is none."""
    matchers = [re.compile(text) for text in _known()["unsigned"]]
    return next((line.strip() for line in reversed(log) if any(matcher.search(line) for matcher in matchers)), None)


def _xid(card: str, number: int, lines: list[str]) -> Finding:
    known = _known()["xids"].get(number, {"status": "warn", "meaning": "not in our table", "remedy": "other"})
    times = f" ({len(lines)} times)" if len(lines) > 1 else ""
    summary = f"Xid {number} of card {card} since the boot{times}: {known['meaning']}"
    return Finding(known["status"], summary, lines[-1], _known()["remedies"][known["remedy"]])


@cache
def _known() -> dict[str, Any]:
    text = Path(__file__).with_name("kernel_log.yml").read_text(encoding="utf-8")
    known: dict[str, Any] = yaml.safe_load(text)
    return known
