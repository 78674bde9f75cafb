"""Layer 8: the cards and the driver fit the toolchain, and each other."""

from __future__ import annotations

import re

from iblvideo_admin.gpu import choice, driver_files, families
from iblvideo_admin.gpu.checks.base import Context, Finding, worst
from iblvideo_admin.gpu.families import Family
from iblvideo_admin.gpu.inventory import Gpu
from iblvideo_admin.toolchains import Toolchain

ID, LAYER, NEEDS, NEEDS_GPU = "capability", 8, ("nvml",), True
_NEWER = "they would compile for half an hour, then give errors or wrong numbers"


def check(context: Context) -> Finding:
    """Compute capability within the toolchain's range; driver not below its floor, within the branches of each card."""
    cards = choice.allowed(context.settings, context.inventory)
    findings = [*_cards(context.toolchain, cards), *_drivers(context, cards)]
    assert context.toolchain.capability is not None
    oldest, newest = context.toolchain.capability
    good = Finding(
        "pass",
        f"compute capability within {oldest} to {newest}, driver {context.inventory.driver} fits",
        "; ".join([_named(cards), *_notes(cards)]),
    )
    return worst([*findings, good]) if findings else good


def _cards(toolchain: Toolchain, cards: tuple[Gpu, ...]) -> list[Finding]:
    """What is wrong with the cards themselves."""
    assert toolchain.capability is not None
    oldest, newest = toolchain.capability
    if not cards:
        return [Finding("skip", "the setting gpus allows no card")]
    findings = []
    if wrong := tuple(gpu for gpu in cards if gpu.capability and not choice.serves(toolchain, gpu)):
        newer = any(gpu.capability and gpu.capability > _pair(newest) for gpu in wrong)
        findings.append(
            Finding(
                "fail",
                f"toolchain {toolchain.name} serves compute capability {oldest} to {newest}, not {_named(wrong)}",
                f"its libraries hold no code for such cards: {_NEWER if newer else 'TensorFlow ignores them'}",
                _instead(toolchain, cards),
            )
        )
    if silent := tuple(gpu for gpu in cards if gpu.capability is None):
        findings.append(
            Finding(
                "skip",
                f"the compute capability of {_named(silent)} is not reported",
                f"{toolchain.name} serves {oldest} to {newest}",
                f"See what `nvidia-smi -q -i {silent[0].index}` says of it.",
            )
        )
    return findings


def _drivers(context: Context, cards: tuple[Gpu, ...]) -> list[Finding]:
    """What is wrong with the driver, for the toolchain and for each card."""
    driver, floor = context.inventory.driver, context.toolchain.driver_min
    if (numbers := _numbers(driver)) is None:
        return [Finding("skip", f"the driver's version is not reported ({driver or 'N/A'})", "",
                        "See what `nvidia-smi` and /proc/driver/nvidia/version say.")]  # fmt: skip
    rows = {gpu: families.family_of(gpu.capability) for gpu in cards if gpu.capability}
    last = min((row.last_driver for row in rows.values() if row and row.last_driver), key=int, default=None)
    remedy, said = driver_files.install(last), f"NVML: driver {driver}"
    findings = []
    if floor and numbers < (_numbers(floor) or ()):
        findings.append(
            Finding(
                "fail", f"driver {driver} is older than {floor}, which {context.toolchain.name} needs", said, remedy
            )
        )
    for gpu, row in rows.items():
        if row and row.last_driver and numbers[0] > int(row.last_driver):
            findings.append(
                Finding(
                    "fail",
                    f"driver {driver} is past R{row.last_driver}, the last branch for {_named([gpu])}",
                    f"{row.architecture} cards are ignored by newer drivers",
                    remedy,
                )
            )
        if row and row.first_driver and numbers[0] < int(row.first_driver):
            summary = f"driver {driver} is older than R{row.first_driver}, the first branch for {_named([gpu])}"
            findings.append(Finding("fail", summary, said, remedy))
    return findings


def _instead(toolchain: Toolchain, cards: tuple[Gpu, ...]) -> str:
    """What to do about cards that the toolchain does not serve."""
    other = f'toolchain = "{choice.recommended(cards)}" in the settings'
    fitting = ",".join(str(gpu.index) for gpu in cards if choice.serves(toolchain, gpu))
    return f'Set gpus = "{fitting}" or {other}.' if fitting else f"Set {other}."


def _notes(cards: tuple[Gpu, ...]) -> list[str]:
    rows: set[Family] = {row for gpu in cards if gpu.capability and (row := families.family_of(gpu.capability))}
    return sorted(f"R{row.last_driver} is the last driver branch for {row.architecture}" for row in rows
                  if row.last_driver)  # fmt: skip


def _named(cards: tuple[Gpu, ...] | list[Gpu]) -> str:
    capability = {gpu: gpu.as_data()["capability"] or "N/A" for gpu in cards}
    return ", ".join(f"GPU {gpu.index} {gpu.name or 'N/A'} ({capability[gpu]})" for gpu in cards)


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def _numbers(version: str | None) -> tuple[int, ...] | None:
    """None for what is no version: NVML's strings are not to be trusted."""
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", version or ""):
        return None
    return tuple(int(part) for part in str(version).split("."))
