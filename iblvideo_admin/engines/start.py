"""From settings to a running engine."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from iblvideo_admin import toolchains
from iblvideo_admin.engines.base import Engine
from iblvideo_admin.errors import UserError
from iblvideo_admin.settings import Settings
from iblvideo_admin.toolchains import Toolchain


def chosen(asked: str, settings: Settings, toolchain: Toolchain) -> Toolchain:
    """The toolchain, or where another engine is wished (by the command, else by the settings) the one that has it.

    Raises ``engine.not_available`` where that one is not installed here.
    """
    name = next((wish for wish in (asked, settings.engine) if wish != "auto"), toolchain.engine)
    if name == toolchain.engine:
        return toolchain
    every = map(toolchains.load, toolchains.names())
    other = next((one for one in every if one.engine == name and one.needs_gpu == toolchain.needs_gpu), None)
    if other is None:
        raise UserError("engine.not_available", f"there is no engine {name}")
    try:
        require_ready(settings, other)
    except UserError as error:
        raise UserError("engine.not_available", f"the engine {name} is not installed here: {error.message}") from error
    return other


def require_ready(settings: Settings, toolchain: Toolchain) -> None:
    """Raises ``toolchain.not_provisioned`` where the toolchain's engine cannot be started."""
    _ENGINES[toolchain.engine].require_ready(settings, toolchain)


def start(settings: Settings, toolchain: Toolchain, log: IO[bytes], *, gpu: str, lease: tuple[int, ...]) -> Engine:
    """Start the toolchain's engine on one card (``gpu`` is its UUID, empty for none)."""
    return _ENGINES[toolchain.engine].start(settings, toolchain, log, gpu, lease)


def library_environment(settings: Settings, toolchain: Toolchain) -> dict[str, str]:
    """The toolchain's variables, with its own CUDA first on the loader's path."""
    environment = dict(toolchain.environment)
    if toolchain.cuda is not None:
        root = settings.cuda_root or Path(toolchain.cuda["root"])
        folders = [root / part for part in toolchain.cuda["library_path"]]
        folders += [Path(path) for path in toolchain.cuda["library_path_optional"] if Path(path).is_dir()]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, folders))
    return environment


def converted_networks(settings: Settings) -> Path:
    """The folder of networks that were converted to ONNX."""
    return settings.scratch_dir / "onnx"


def _tensorflow1_ready(settings: Settings, toolchain: Toolchain) -> None:
    python = toolchain.interpreter(settings.dlc_python)
    if not os.access(python, os.X_OK) or python.is_dir():
        raise UserError("toolchain.not_provisioned", f"toolchain {toolchain.name}: there is no interpreter {python}")


def _start_tensorflow1(
    settings: Settings, toolchain: Toolchain, log: IO[bytes], gpu: str, lease: tuple[int, ...]
) -> Engine:
    from iblvideo_admin.engines.tensorflow1 import TensorFlow1

    _tensorflow1_ready(settings, toolchain)
    environment = library_environment(settings, toolchain)
    environment["CUDA_VISIBLE_DEVICES"] = gpu
    environment["MPLCONFIGDIR"] = _cache(settings, "matplotlib")
    return TensorFlow1(toolchain.interpreter(settings.dlc_python), log, environment=environment, lease=lease)


def _onnx_ready(_: Settings, toolchain: Toolchain) -> None:
    """Two packages install one module: which of them it is, its name in the list of packages tells."""
    package = toolchain.imports_package("onnxruntime")
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        missing = f"toolchain {toolchain.name}: {package} is not installed beside this command"
        raise UserError("toolchain.not_provisioned", missing) from None


def _start_onnx(settings: Settings, toolchain: Toolchain, log: IO[bytes], gpu: str, lease: tuple[int, ...]) -> Engine:
    """In this process, which holds the lease itself and whose own log it writes to."""
    del log, lease
    _onnx_ready(settings, toolchain)
    from iblvideo_admin.engines.onnx import Onnx

    return Onnx(converted_networks(settings), gpu=gpu)


def _cache(settings: Settings, name: str) -> str:
    folder = settings.scratch_dir / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("state.not_usable", f"scratch_dir {folder} cannot be made: {error.strerror}") from error
    return str(folder)


@dataclass(frozen=True)
class _Engine:
    require_ready: Callable[[Settings, Toolchain], None]
    start: Callable[[Settings, Toolchain, IO[bytes], str, tuple[int, ...]], Engine]


_ENGINES = {
    "tensorflow1": _Engine(_tensorflow1_ready, _start_tensorflow1),
    "onnx": _Engine(_onnx_ready, _start_onnx),
}
