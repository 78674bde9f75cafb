"""What a check gets and gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from iblvideo_admin.engines.start import library_environment
from iblvideo_admin.engines.tensorflow1 import sidecar_environment
from iblvideo_admin.gpu import catalogue, choice, probes
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

    def concerns(self, address: str) -> bool:
        """Whether the card at a PCI address (0000:01:00.0, or 0000:01:00 as the driver's log has it) may be used."""
        own = choice.addresses(self.settings, self.inventory)
        return own is None or any(ours.startswith(address.lower()) for ours in own)

    def about(self, address: str, finding: Finding) -> Finding:
        """A finding about the card at this address: of one that we may not use no more than a warning."""
        return replace(finding, status="warn") if finding.status == "fail" and not self.concerns(address) else finding


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


def probe(context: Context, what: str, expected: Mapping[str, type], *arguments: str, gpu: str = "") -> dict[str, Any]:
    """Run the probe script in the toolchain's Python, as a job runs there: on one card (its UUID), or on none.

    ``expected`` are the keys of its answer and their types; ``said`` is added: what it printed beside the answer.
    Raises :class:`ProbeError`.
    """
    script = Path(probes.__file__).with_name(f"{context.toolchain.engine}_probe.py")
    python = context.toolchain.interpreter(context.settings.dlc_python)
    environment = sidecar_environment(
        {
            **library_environment(context.settings, context.toolchain),
            "CUDA_VISIBLE_DEVICES": gpu,
            "TF_CPP_MIN_LOG_LEVEL": "0",
        }
    )
    try:
        done = _run([str(python), str(script), what, *arguments], environment)
    except OSError as error:
        raise ProbeError(f"{python}: {error.strerror}") from error
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


def _run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command and end it, with all that it has started, after the time limit: then a :class:`ProbeError`."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", env=environment, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            out, err = process.communicate(timeout=PROBE_LIMIT_S)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise ProbeError(f"no answer within {PROBE_LIMIT_S} s", process.communicate()[1].strip()) from error
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _status(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"status {returncode}"


def explained(context: Context, error: ProbeError, summary: str) -> Finding:
    """What the catalogue of known failures makes of what a process printed; its last lines where it knows nothing."""
    said = error.said or str(error)
    hits = catalogue.match(said)
    if not hits:
        last = catalogue.last_lines(said)
        evidence = last if str(error) in last else f"{error}; {last}"
        return Finding("fail", summary, evidence, "Not in the catalogue: read the evidence.")
    entry, toolchain = hits[0].entry, context.toolchain
    python = toolchain.interpreter(context.settings.dlc_python)
    return Finding(
        "fail",
        f"{summary}: {entry.cause}",
        "; ".join(hit.line for hit in hits),
        catalogue.remedy(entry, toolchain, python, context.settings.cuda_root),
    )
