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
from iblvideo_admin.gpu import probes
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


@dataclass(frozen=True)
class Finding:
    """A check's outcome: ``pass``, ``warn``, ``fail`` or ``skip`` (could not be looked at)."""

    status: str
    summary: str
    evidence: str = ""
    remedy: str = ""


_WORST_FIRST = ("fail", "skip", "warn", "pass")


def worst(findings: Sequence[Finding]) -> Finding:
    """One finding of several: the first of the worst; what the others have to say joins its evidence."""
    ordered = sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.status))
    first, others = ordered[0], [finding for finding in ordered[1:] if finding.status in ("fail", "warn", "skip")]
    said = [first.evidence, *(f"{finding.summary} ({finding.evidence})" if finding.evidence else finding.summary
                              for finding in others)]  # fmt: skip
    return Finding(first.status, first.summary, "; ".join(text for text in said if text), first.remedy)


class ProbeError(Exception):
    """The probe's process did not answer; the text is the end of what it printed."""


def probe(context: Context, what: str, expected: Mapping[str, type]) -> dict[str, Any]:
    """Run the probe script in the toolchain's Python.

    ``expected`` are the keys of its answer and their types.  Raises :class:`ProbeError`.
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
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ProbeError(said[-1] if said else f"ended with status {done.returncode} and said nothing") from None
    if done.returncode != 0 or not isinstance(answer, dict):
        raise ProbeError(f"ended with status {done.returncode}")
    if wrong := [key for key, kind in expected.items() if not isinstance(answer.get(key), kind)]:
        raise ProbeError(f"the answer lacks {', '.join(wrong)}: {answer}"[:500])
    return answer
