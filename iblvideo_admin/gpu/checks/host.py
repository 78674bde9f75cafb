"""Layer 15: what else a job needs: libav's decoders, folders with room in them, readable ONE parameters."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from iblvideo_admin.files import nearest
from iblvideo_admin.gpu.checks.base import Context, Finding, worst

ID, LAYER, NEEDS, NEEDS_GPU = "host", 15, (), False
_LOW = 1 << 30
_DECODERS = ("h264", "mpeg4", "mjpeg")  # what the rigs have written over the years


def check(context: Context) -> Finding:
    """Decoders, the subjects folder, a gigabyte for state, output and scratch, and ONE's files where there are any."""
    settings = context.settings
    if not settings.subjects_dir.is_dir():
        return Finding(
            "fail",
            f"there is no subjects folder {settings.subjects_dir}",
            f"the first that is there: {nearest(settings.subjects_dir)}",
            "Mount it, or set subjects_dir.",
        )
    folders = dict.fromkeys((settings.subjects_dir, settings.state_dir, settings.scratch_dir))
    found = worst([_decoders(), *(_folder(folder) for folder in folders), _one_parameters()])
    if found.status != "pass":
        return found
    return Finding("pass", "decoders, folders and room are there", "; ".join(_room(folder) for folder in folders))


def _decoders() -> Finding:
    try:
        import av
    except ImportError as error:
        return Finding("fail", "videos cannot be decoded: PyAV does not start", str(error), _REINSTALL)
    if missing := [name for name in _DECODERS if name not in av.codecs_available]:
        return Finding("fail", f"libav has no decoder for {', '.join(missing)}", "", _REINSTALL)
    return Finding("pass", "libav decodes")


_REINSTALL = "Run `ansible-playbook site.yml` again: it installs the command line from its lock."


def _folder(folder: Path) -> Finding:
    existing = nearest(folder)
    if (room := shutil.disk_usage(existing).free) < _LOW:
        return Finding(
            "fail",
            f"{folder} has {room / 1e6:.0f} MB left",
            f"a job needs {_LOW / 1e6:.0f} MB",
            f"Free space: `du -xsh {folder}/*`.",
        )
    if not os.access(existing, os.W_OK):
        return Finding("warn", f"{existing} cannot be written by this user", "", "Run it as the service's user.")
    return Finding("pass", f"{folder} has room")


def _room(folder: Path) -> str:
    return f"{folder}: {shutil.disk_usage(nearest(folder)).free / 1e9:.1f} GB free"


def _one_parameters() -> Finding:
    """A JSON file per Alyx in ``~/.one``, their list in ``.caches``; without Alyx none is needed."""
    try:
        folder = Path.home() / ".one"
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        return Finding("pass", "no ONE parameters")
    except OSError as error:
        return Finding("warn", f"ONE's parameters cannot be read: {error.strerror}", str(error.filename), _OWN)
    for path in files:
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            return Finding("warn", f"ONE's parameters {path} cannot be read: {error.strerror}", "", _OWN)
        except (ValueError, RecursionError):
            return Finding("warn", f"ONE's parameters {path} are damaged", "", f"Remove {path} and set ONE up again.")
    return Finding("pass", "ONE's parameters can be read")


_OWN = "Give it back to this user: `chown -R $(id -un) ~/.one`."
