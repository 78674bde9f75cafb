"""From settings to a running engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from iblvideo_admin.engines.base import Engine
from iblvideo_admin.errors import UserError
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain

_HERE = ("tensorflow1",)


def engine_name(asked: str, settings: Settings, toolchain: Toolchain) -> str:
    """Which engine is meant: the command's wish, else the settings', else the toolchain's own.

    Raises ``engine.not_available``.
    """
    name = next((wish for wish in (asked, settings.engine) if wish != "auto"), toolchain.engine)
    if name not in _HERE:
        raise UserError("engine.not_available", f"the engine {name} is not installed here")
    return name


def require_ready(settings: Settings, toolchain: Toolchain) -> Path:
    """The toolchain's interpreter.  Raises ``toolchain.not_provisioned`` where it cannot be run."""
    python = settings.interpreter(toolchain.name)
    if not os.access(python, os.X_OK) or python.is_dir():
        raise UserError("toolchain.not_provisioned", f"toolchain {toolchain.name}: there is no interpreter {python}")
    return python


def start(settings: Settings, toolchain: Toolchain, log: IO[bytes], *, gpu: str, lease: tuple[int, ...]) -> Engine:
    """Start the toolchain's engine on one card (``gpu`` is its UUID, empty for none)."""
    from iblvideo_admin.engines.tensorflow1 import TensorFlow1

    environment = library_environment(settings, toolchain)
    environment["CUDA_VISIBLE_DEVICES"] = gpu
    environment["MPLCONFIGDIR"] = _cache(settings, "matplotlib")
    return TensorFlow1(require_ready(settings, toolchain), log, environment=environment, lease=lease)


def library_environment(settings: Settings, toolchain: Toolchain) -> dict[str, str]:
    """The toolchain's variables, with its own CUDA first on the loader's path."""
    environment = dict(toolchain.environment)
    if toolchain.cuda is not None:
        root = settings.cuda_root or Path(toolchain.cuda["root"])
        folders = [root / part for part in toolchain.cuda["library_path"]]
        folders += [Path(path) for path in toolchain.cuda["library_path_optional"] if Path(path).is_dir()]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, folders))
    return environment


def _cache(settings: Settings, name: str) -> str:
    folder = settings.scratch_dir / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("state.not_usable", f"scratch_dir {folder} cannot be made: {error.strerror}") from error
    return str(folder)
