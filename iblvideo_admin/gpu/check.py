"""check-gpu: run the layers in order, skip what depends on a failed one, and come to a verdict."""

from __future__ import annotations

import importlib
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

from iblvideo_admin import toolchains
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.gpu import choice, inventory, last_check, speed
from iblvideo_admin.gpu.checks.base import Context, Finding
from iblvideo_admin.gpu.sysroot import CannotLookError
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain

# From the metal upwards: the first that fails is the one to mend.
LAYERS = (
    "pci", "nouveau", "secure_boot", "headers", "module", "devices", "nvml", "capability", "libraries", "health",
    "packages", "compute", "network", "weights", "host",
)  # fmt: skip
_QUICK = LAYERS[:10]


def check_gpu(
    settings: Settings, *, toolchain: str | None = None, level: str = "full", gpu: int | None = None
) -> Result:
    """Look at every layer; ``quick`` at the first ten only, and its verdict speaks of them only.

    ``gpu`` is the one card to look at.  Raises ``toolchain.unknown`` and ``settings.invalid``.
    """
    if gpu is not None:
        settings = replace(settings, gpus=str(gpu))
    cards = inventory.look()
    chosen = toolchains.load(toolchain) if toolchain else choice.resolve(settings, cards)
    context = Context(settings, chosen, cards)
    modules = [importlib.import_module(f"iblvideo_admin.gpu.checks.{name}") for name in _of(level)]
    findings: dict[str, Finding] = {}
    applying: dict[str, Finding] = {}
    for module in modules:
        if not _applies(module, chosen):
            findings[module.ID] = Finding("skip", f"toolchain {chosen.name} uses no GPU")
            continue
        findings[module.ID] = applying[module.ID] = _one(module, context, applying)
    verdict = _verdict(list(applying.values()))
    if verdict == "pass":
        speed.record(settings.state_dir, context.speeds)
    data = {
        "verdict": verdict,
        "level": level,
        "toolchain": chosen.name,
        "recommended_toolchain": choice.recommended_here(settings, cards, context.sysroot),
        "gpus": [gpu.as_data(state=True) for gpu in cards.gpus],
        "driver": cards.driver,
        "checks": [{"id": module.ID, "layer": module.LAYER, **asdict(findings[module.ID])} for module in modules],
    }
    if gpu is None:  # of one card of several it says too little
        last_check.record(settings.state_dir, data)
    problems = tuple(
        Problem(f"check.{name}", finding.summary, finding.remedy)
        for name, finding in findings.items()
        if finding.status == "fail"
    )
    return Result("check-gpu", data, 0 if verdict == "pass" else FAILED, problems)


def _of(level: str) -> tuple[str, ...]:
    """The layers of a level."""
    return _QUICK if level == "quick" else LAYERS


def _applies(module: ModuleType, toolchain: Toolchain) -> bool:
    return toolchain.needs_gpu or not module.NEEDS_GPU


def _one(module: Any, context: Context, before: dict[str, Finding]) -> Finding:
    """One layer's finding; nothing that it meets may end the command.  ``before``: those below it that apply."""
    for name in module.NEEDS:
        if name in before and before[name].status in ("fail", "skip"):
            return Finding("skip", f"depends on {name}, which did not pass")
    try:
        finding: Finding = module.check(context)
    except CannotLookError as error:
        return Finding("skip", "could not be looked at", str(error), "Run it as root, or as the service's user.")
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a check that breaks has seen nothing, and the others go on
        return Finding("skip", "this check broke", f"{type(error).__name__}: {error}", "Report this: it is a bug.")
    return finding


def _verdict(applying: list[Finding]) -> str:
    """``unknown`` where a layer that applies could not be looked at, or none applies."""
    statuses = {finding.status for finding in applying}
    if "fail" in statuses:
        return "fail"
    return "pass" if statuses and "skip" not in statuses else "unknown"
