"""The software stacks that can track: one .yml and one .lock file each.

These files are the only place where a version, an address or a checksum is written; the Ansible roles and the
command line both read them.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from iblvideo_admin.errors import UserError

FOLDER = Path(__file__).resolve().parent
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+))?", re.MULTILINE)


@dataclass(frozen=True)
class Toolchain:
    """One software stack, as its file describes it."""

    name: str
    description: str
    engine: str
    python: str
    lock: Path
    build_lock: Path | None
    """What `lock` is built with; None where nothing in it is built."""
    imports: tuple[str, ...]
    pip_check_allowed: tuple[str, ...]
    environment: Mapping[str, str]
    capability: tuple[str, str] | None
    """Oldest and newest compute capability that it serves; None for a stack that uses no GPU."""
    driver_min: str | None
    cuda: Mapping[str, Any] | None
    cudnn: Mapping[str, Any] | None

    @property
    def in_process(self) -> bool:
        """Whether it runs in the command line's own Python, from whose lock it is then."""
        return self.engine == "onnx"

    def interpreter(self, given: Path | None = None) -> Path:
        """Its Python on this host: ``given`` (the setting dlc_python), or where the roles install it."""
        if self.in_process:
            return Path(sys.executable)
        return given or Path("/opt/iblvideo/envs") / self.name / "current/bin/python"

    def runs_on(self, version: str) -> bool:
        """Whether this version of Python is one of its: of the very series, or for the command line's own, or later."""
        seen = _numbers(".".join(version.split(".")[:2]))
        return seen >= _numbers(self.python) if self.in_process else seen == _numbers(self.python)

    @property
    def needs_gpu(self) -> bool:
        """Whether it is for GPUs at all."""
        return self.capability is not None

    def imports_package(self, module: str) -> str:
        """The package of the lock that brings a module, where several builds of it go by other names."""
        return next(name for name in self.versions() if name == module or name.startswith(f"{module}-"))

    def lock_sha256(self) -> str:
        """Names the environment on a host: its folder's name is the beginning of this."""
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    def versions(self) -> dict[str, str]:
        """Package -> version, from the lock, of what this machine's Python gets; names as pip normalizes them."""
        rows = _PINNED.findall(self.lock.read_text(encoding="utf-8"))
        return {normalized(name): version for name, version, marker in rows if _applies(marker.strip())}

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
        build_lock=FOLDER / data["build_lock"] if data["build_lock"] else None,
        imports=tuple(data["imports"]),
        pip_check_allowed=tuple(data["pip_check_allowed"]),
        environment=MappingProxyType(data["environment"]),
        capability=tuple(gpu["capability"]) if gpu else None,
        driver_min=gpu.get("driver_min"),
        cuda=data["cuda"],
        cudnn=data["cudnn"],
    )


def ibl() -> dict[str, str]:
    """The IBL's addresses: its data server, its Alyx, and where the weights of a ``{version}`` lie on either server."""
    return dict(yaml.safe_load((FOLDER / "sources/ibl.yml").read_text(encoding="utf-8")))


def normalized(name: str) -> str:
    """A package's name as locks and indexes write it: `ruamel.yaml` is ruamel-yaml, `Pillow` is pillow."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _applies(marker: str) -> bool:
    """Whether a lock's line is for this Python; locks of Python 3.7 have no such words, being for one alone."""
    if not marker:
        return True
    from packaging.markers import Marker

    return Marker(marker).evaluate()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
