"""check-gpu: run the layers in order, skip what depends on a failed one, and come to a verdict."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from iblvideo_admin import toolchains
from iblvideo_admin.errors import FAILED
from iblvideo_admin.gpu import choice, inventory
from iblvideo_admin.gpu.checks import capability, compute, host, network, nvml, packages, weights
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.settings import Settings

CHECKS: tuple[Any, ...] = (nvml, capability, packages, compute, weights, network, host)
_QUICK = 10  # the last layer of the quick level


def check_gpu(settings: Settings, *, toolchain: str | None = None, level: str = "full") -> Result:
    """Look at every layer.  ``quick`` looks at layers 1 to 10 only, and its verdict speaks of them only."""
    cards = inventory.look()
    chosen = toolchains.load(toolchain) if toolchain else choice.resolve(settings, cards)
    context = Context(settings, chosen, cards)
    findings: dict[str, Finding] = {}
    for module in CHECKS:
        if level == "full" or module.LAYER <= _QUICK:
            findings[module.ID] = _one(module, context, findings)
    verdict = _verdict(context, findings)
    data = {
        "verdict": verdict,
        "level": level,
        "toolchain": chosen.name,
        "recommended_toolchain": choice.recommended(choice.allowed(settings, cards)),
        "gpus": [gpu.as_data() for gpu in cards.gpus],
        "driver": cards.driver,
        "checks": [
            {"id": module.ID, "layer": module.LAYER, **asdict(findings[module.ID])}
            for module in CHECKS
            if module.ID in findings
        ],
    }
    problems = tuple(
        Problem(f"check.{name}", finding.summary, finding.remedy)
        for name, finding in findings.items()
        if finding.status == "fail"
    )
    return Result("check-gpu", data, 0 if verdict == "pass" else FAILED, problems)


def _one(module: Any, context: Context, before: dict[str, Finding]) -> Finding:
    if module.NEEDS_GPU and not context.toolchain.needs_gpu:
        return Finding("skip", f"toolchain {context.toolchain.name} uses no GPU")
    for name in module.NEEDS:
        if before[name].status in ("fail", "skip"):
            return Finding("skip", f"depends on {name}, which did not pass")
    finding: Finding = module.check(context)
    return finding


def _verdict(context: Context, findings: dict[str, Finding]) -> str:
    statuses = {finding.status for finding in findings.values()}
    if "fail" in statuses:
        return "fail"
    if context.toolchain.needs_gpu and "skip" in statuses:
        return "unknown"
    # without a GPU the quick level has looked at nothing
    return "pass" if statuses & {"pass", "warn"} else "unknown"
