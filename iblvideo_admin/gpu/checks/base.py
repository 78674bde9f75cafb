"""What a check gets and gives."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iblvideo_admin.engines.start import library_environment
from iblvideo_admin.engines.tensorflow1 import sidecar_environment
from iblvideo_admin.gpu import catalogue, probes
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.gpu.sysroot import Sysroot
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain

PROBE_LIMIT_S = 300


@dataclass(frozen=True)
class Context:
    """What is looked at."""

    settings: Settings
    toolchain: Toolchain
    inventory: Inventory
    sysroot: Sysroot = field(default_factory=Sysroot)
    speeds: dict[str, float] = field(default_factory=dict)
    """What was measured on the way, for the baseline: pictures per second by toolchain and device."""


@dataclass(frozen=True)
class Finding:
    """A check's outcome: ``pass``, ``warn``, ``fail`` or ``skip`` (could not be looked at)."""

    status: str
    summary: str
    evidence: str = ""
    remedy: str = ""


_WORST_FIRST = ("fail", "skip", "warn", "pass")


def worst(findings: Sequence[Finding]) -> Finding:
    """One of several: the first of the worst, with what the other bad ones say; all summaries where all pass."""
    first, *others = sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.status))
    if first.status == "pass":
        evidence = "; ".join(finding.evidence for finding in findings if finding.evidence)
        return Finding("pass", "; ".join(finding.summary for finding in findings), evidence)
    said = [first.evidence]
    seen = {first.evidence}
    for other in others:
        if other.status != "pass":
            said.append(other.summary if other.evidence in seen else f"{other.summary}: {other.evidence}".rstrip(": "))
            seen.add(other.evidence)
    return Finding(first.status, first.summary, "; ".join(text for text in said if text), first.remedy)


class ProbeError(Exception):
    """The probe's process did not answer; ``said`` is all that it printed."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


def probe(context: Context, what: str, expected: Mapping[str, type]) -> dict[str, Any]:
    """Run the probe script in the toolchain's Python.

    ``expected`` are the keys of its answer and their types; ``said`` is added: what it printed beside the answer.
    Raises :class:`ProbeError`.
    """
    script = Path(probes.__file__).with_name(f"{context.toolchain.engine}_probe.py")
    python = context.settings.interpreter(context.toolchain.name)
    environment = sidecar_environment(
        {**library_environment(context.settings, context.toolchain), "TF_CPP_MIN_LOG_LEVEL": "0"}
    )
    try:
        done = subprocess.run(
            [str(python), str(script), what],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment,
            timeout=PROBE_LIMIT_S, check=False,
        )  # fmt: skip
    except OSError as error:
        raise ProbeError(f"{python}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"no answer within {PROBE_LIMIT_S} s") from error
    said = done.stderr.strip()
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        text = said or done.stdout.strip()
        last = text.splitlines()[-1] if text else f"ended with {_status(done.returncode)} and said nothing"
        if done.returncode < 0:  # nobody else tells of an illegal instruction
            text = f"{text}\nended with {_status(done.returncode)}".strip()
        raise ProbeError(last, text) from None
    if done.returncode != 0 or not isinstance(answer, dict):
        raise ProbeError(f"ended with {_status(done.returncode)}", said)
    if wrong := [key for key, kind in expected.items() if not isinstance(answer.get(key), kind)]:
        raise ProbeError(f"the answer lacks {', '.join(wrong)}: {answer}"[:500], said)
    return {**answer, "said": said}


def _status(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"status {returncode}"


def explained(context: Context, error: ProbeError, summary: str) -> Finding:
    """What the catalogue of known failures makes of what a process printed; its last lines where it knows nothing."""
    said = error.said or str(error)
    hits = catalogue.match(said)
    if not hits:
        evidence = catalogue.last_lines(said) or str(error)
        return Finding("fail", summary, evidence, "Not in the catalogue: read the evidence.")
    entry, toolchain = hits[0].entry, context.toolchain
    python = context.settings.interpreter(toolchain.name)
    return Finding(
        "fail",
        f"{summary}: {entry.cause}",
        "; ".join(hit.line for hit in hits),
        catalogue.remedy(entry, toolchain, python, context.settings.cuda_root),
    )
