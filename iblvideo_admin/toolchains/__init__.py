"""The software stacks that can track: one .yml and one .lock file each.

These files are the only place where a version, an address or a checksum is written; the Ansible roles and the
command line both read them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from iblvideo_admin.errors import UserError

FOLDER = Path(__file__).resolve().parent
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Toolchain:
    """One software stack, as its file describes it."""

    name: str
    description: str
    engine: str
    python: str
    lock: Path
    build_lock: Path
    imports: tuple[str, ...]
    pip_check_allowed: tuple[str, ...]
    environment: Mapping[str, str]
    capability: tuple[str, str] | None
    """Oldest and newest compute capability that it serves; None for a stack that uses no GPU."""
    driver_min: str | None
    cuda: Mapping[str, Any] | None
    cudnn: Mapping[str, Any] | None

    @property
    def needs_gpu(self) -> bool:
        """Whether it is for GPUs at all."""
        return self.capability is not None

    def lock_sha256(self) -> str:
        """Names the environment on a host: its folder's name is the beginning of this."""
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    def versions(self) -> dict[str, str]:
        """Package -> version, from the lock; names as pip normalizes them."""
        return {normalized(name): version for name, version in _PINNED.findall(self.lock.read_text(encoding="utf-8"))}

    def serves(self, capability: str) -> bool:
        """Whether a card of this compute capability ("7.5") can work with it."""
        if self.capability is None:
            return False
        oldest, newest = (_numbers(text) for text in self.capability)
        return oldest <= _numbers(capability) <= newest


def names() -> tuple[str, ...]:
    """All toolchains of this release."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))


def load(name: str) -> Toolchain:
    """Read one toolchain; raises ``toolchain.unknown``."""
    if name not in names():
        raise UserError("toolchain.unknown", f"there is no toolchain {name!r}", f"Choose one of: {', '.join(names())}.")
    data = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    gpu = data["gpu"] or {}
    return Toolchain(
        name=data["name"],
        description=data["description"],
        engine=data["engine"],
        python=data["python"],
        lock=FOLDER / data["lock"],
        build_lock=FOLDER / data["build_lock"],
        imports=tuple(data["imports"]),
        pip_check_allowed=tuple(data["pip_check_allowed"]),
        environment=MappingProxyType(data["environment"]),
        capability=tuple(gpu["capability"]) if gpu else None,
        driver_min=gpu.get("driver_min"),
        cuda=data["cuda"],
        cudnn=data["cudnn"],
    )


def normalized(name: str) -> str:
    """A package's name as locks and indexes write it: `ruamel.yaml` is ruamel-yaml, `Pillow` is pillow."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
