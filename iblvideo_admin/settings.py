"""Configuration: defaults, then the system's file, then the user's, then the environment; later wins.

Files are TOML.  ``IBLVIDEO_ADMIN_CONFIG`` names the only file to be read instead of the two usual ones;
``IBLVIDEO_ADMIN_<FIELD>`` sets one field.  Every path can be moved, so that a user without root runs wholly
inside one folder.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from iblvideo_admin.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "IBLVIDEO_ADMIN_"
SYSTEM_FILE = Path("/etc/iblvideo-admin/config.toml")


def _described(default: Any, meaning: str) -> Any:
    """A field with its default and the sentence that documents it."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={"meaning": meaning})
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """Everything that can be configured; ``docs/settings.md`` lists the fields with their meanings."""

    subjects_dir: Path = _described(
        Path("/mnt/s0/Data/Subjects"), "sessions lie below this folder, and nothing outside it is read or written"
    )
    state_dir: Path = _described(Path("/var/lib/iblvideo-admin"), "jobs, their logs and the ledger")
    weights_dir: Path = _described(Path("/opt/iblvideo/weights/current"), "the networks' folders")
    scratch_dir: Path = _described(
        Path("/var/tmp/iblvideo-admin"),  # noqa: S108  it holds caches only
        "room for caches; nothing in it is missed",
    )
    lock_dir: Path = _described(
        Path("/run/lock/iblvideo-admin"), "locks of devices and videos, one folder for all users of the server"
    )
    toolchain: str = _described("auto", "which software stack tracks; auto chooses by the GPUs")
    engine: str = _described("auto", "which engine runs the networks; auto takes the toolchain's")
    dlc_python: Path | None = _described(
        None, "the toolchain's interpreter; without it the one that the roles install is used"
    )
    cuda_root: Path | None = _described(None, "the toolchain's CUDA; without it /usr/local/cuda-X.Y")
    gpus: str = _described("all", "which GPUs may be used: all, none, or their numbers with commas")
    alyx_url: str = _described("", "address of the lab's Alyx; without it ONE's default of whoever runs the queue")
    lab: str = _described("", "the lab's name in Alyx; without it all labs of the data repository")
    data_repository: str = _described("", "this server's data repository in Alyx, whose tasks it takes")
    dlc_tasks: str = _described(
        "iblvideo-admin", "who takes the repository's DLC tasks from Alyx: iblvideo-admin or ibllib; never both"
    )
    alyx_every_s: float = _described(60.0, "seconds between two looks of `process --source alyx` into Alyx")
    alyx_limit_s: float = _described(
        60.0,
        "seconds that a request to Alyx, or a silence of the data server, may last; one without an answer is "
        "looked into after three times as long",
    )
    alyx_downloads: bool = _described(False, "whether raw videos that are not here are fetched from the data server")
    alyx_keep_downloads: bool = _described(True, "false removes a video that was fetched once its task has ended")
    retry_wait_s: float = _described(
        30.0, "seconds before a job that failed for a passing reason is tried again; doubled with each attempt"
    )
    stuck_s: float = _described(600.0, "a job without a new frame for so many seconds is ended and counts as failed")
    time_limit_factor: float = _described(
        10.0, "a job may take so many times what this server's own frames/s make of its frames; 0: any time"
    )
    scan_every_s: float = _described(60.0, "seconds between two looks of `process --watch` into the subjects folder")
    rest_s: float = _described(
        300.0, "a scan takes a video without a raw_session.flag only if its file has not changed for so many seconds"
    )
    stop_grace_s: float = _described(
        30.0, "seconds that `process --watch` waits for running jobs on SIGTERM before it gives them back"
    )
    hours: str = _described("always", "when jobs may be started: always, or as in 19:00-07:30 (local time)")
    gpu_lock: Path | None = _described(
        None, "ibllib's lock of the GPU, which is respected; without it ~/.one/gpu.lock of whoever runs the queue"
    )
    min_free_gb: float = _described(
        1.0, "no job is started with less room than this (10^9 bytes) beside what it writes, on any disk that it uses"
    )
    start_held: bool = _described(
        True, "the first `process --watch` of a server with a backlog holds the queue until somebody releases it"
    )
    on_attention: tuple[str, ...] = _described(
        (),
        "a command and its arguments, run when a job failed for good or the queue stands still; gets JSON on its input",
    )
    on_attention_every_s: float = _described(600.0, "at least so many seconds lie between two runs of on_attention")
    standstill_s: float = _described(
        1800.0, "jobs wait, none was started and none runs for so many seconds: the queue stands still"
    )
    log_limit_mb: float = _described(16.0, "a job's log is cut in its middle when it is longer (10^6 bytes)")
    keep_days: float = _described(
        180.0, "`process --watch` removes the folders of jobs that ended so many days ago; 0: never. Tables stay"
    )
    slurm: dict[str, Any] = _described({}, "options of the Slurm executor (not used yet)")
    windows: dict[str, Any] = _described(
        {}, "points by hand per camera, in raw pixels, where the region network finds nothing"
    )
    even_offsets: bool = _described(
        False,
        "true cuts windows at even offsets, as ffmpeg's crop does in the IBL's pipeline: positions are then up to a "
        "pixel off; only for comparisons",
    )
    sources: tuple[str, ...] = _described((), "where the settings came from (not settable)")


_SETTABLE = {f.name: f for f in fields(Settings) if f.name != "sources"}
_PATHS = {name for name, f in _SETTABLE.items() if "Path" in str(f.type)}
_NUMBERS = {name for name, f in _SETTABLE.items() if f.type == "float"}
_SWITCHES = {name for name, f in _SETTABLE.items() if f.type == "bool"}
_TABLES = {name for name, f in _SETTABLE.items() if "dict" in str(f.type)}
_LISTS = {name for name, f in _SETTABLE.items() if "tuple" in str(f.type)}


def user_file() -> Path | None:
    """The user's own configuration file; None for a user without a home."""
    try:
        return Path.home() / ".config/iblvideo-admin/config.toml"
    except RuntimeError:
        return None


def files(environment: dict[str, str] | None = None) -> tuple[Path, ...]:
    """The files that are looked for, in the order in which they are read."""
    named = (os.environ if environment is None else environment).get(PREFIX + "CONFIG")
    return (Path(named),) if named else tuple(path for path in (SYSTEM_FILE, user_file()) if path is not None)


def load(environment: dict[str, str] | None = None) -> Settings:
    """Read the configuration.  Raises ``settings.invalid`` for an unknown field, a wrong type or a bad file."""
    env = dict(os.environ if environment is None else environment)
    values: dict[str, Any] = {}
    sources: list[str] = []
    for path in files(env):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):  # the home of many a service is /dev/null
            if env.get(PREFIX + "CONFIG"):
                raise UserError("settings.invalid", f"{PREFIX}CONFIG names {path}, which does not exist") from None
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise UserError("settings.invalid", f"{path} cannot be read: {error}") from error
        try:
            table = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise UserError("settings.invalid", f"{path} is not valid TOML: {error}") from error
        for name, value in table.items():
            values[name] = _checked(name, value, str(path))
        sources.append(str(path))
    for name in _SETTABLE.keys() - _TABLES:
        if (given := env.get(PREFIX + name.upper())) is not None:
            values[name] = _checked(name, given, PREFIX + name.upper())
            sources.append(PREFIX + name.upper())
    return Settings(**values, sources=tuple(sources))


def _checked(name: str, value: Any, where: str) -> Any:
    if name not in _SETTABLE:
        raise UserError("settings.invalid", f"{where}: there is no field {name!r}")
    if name in _NUMBERS:
        return _number(name, value, where)
    if name in _SWITCHES:
        return _switch(name, value, where)
    if name in _LISTS:
        return _list(name, value, where)
    wanted = "a table" if name in _TABLES else "a text"
    if not isinstance(value, dict if name in _TABLES else str):
        raise UserError("settings.invalid", f"{where}: {name} must be {wanted}, not {value!r}")
    if name not in _PATHS:
        return value
    try:
        path = Path(str(value)).expanduser()
    except RuntimeError:
        raise UserError("settings.invalid", f"{where}: {name} = {value!r} names a home that is not there") from None
    if not path.is_absolute() or "\0" in str(path):
        raise UserError("settings.invalid", f"{where}: {name} must be an absolute path, not {value!r}")
    return path


def _number(name: str, value: Any, where: str) -> float:
    try:
        if isinstance(value, bool) or not 0 <= (number := float(value)) < float("inf"):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise UserError("settings.invalid", f"{where}: {name} must be a number from 0 on, not {value!r}") from None
    return number


def _list(name: str, value: Any, where: str) -> tuple[str, ...]:
    """A TOML array of texts; in the environment words as a shell takes them."""
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise UserError("settings.invalid", f"{where}: {name}: {error}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) and word and "\0" not in word for word in words):
        raise UserError("settings.invalid", f"{where}: {name} must be a list of texts, not {value!r}")
    return tuple(words)


def _switch(name: str, value: Any, where: str) -> bool:
    """A TOML boolean, or its word in the environment."""
    known = {"true": True, "false": False}
    switch = known.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(switch, bool):
        raise UserError("settings.invalid", f"{where}: {name} must be true or false, not {value!r}")
    return switch


def template() -> str:
    """A file of all fields with their meanings, each at its default and commented out."""
    defaults = as_data(Settings())
    lines = ["# What is commented out has its default. `iblvideo-admin config show` lists what is in force.\n"]
    for name, about in _SETTABLE.items():
        value = "" if defaults[name] is None else json.dumps(defaults[name])
        lines.append(f"\n# {about.metadata['meaning']}\n# {name} = {value}\n")
    return "".join(lines)


def as_data(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for `config show` and the provenance."""
    plain = {Path: str, tuple: list}
    values = {name: getattr(settings, name) for name in _SETTABLE}
    return {name: next((to(v) for kind, to in plain.items() if isinstance(v, kind)), v) for name, v in values.items()}
