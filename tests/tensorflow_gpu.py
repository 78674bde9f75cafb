"""The real tensorflow-gpu 1.13.1 in an environment made from its lock: made once, kept in .cache."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iblvideo_admin import toolchains

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import locked_venv

CACHE = Path(__file__).resolve().parents[1] / ".cache"


def environment(python37: Path) -> Path:
    """For reading only: tests change copies of it.  The Python is one whose base interpreter is 3.7."""
    toolchain, module = toolchains.load("dlc-tf1-cuda10.0"), locked_venv.module()
    locks = [(path.name, path.read_text()) for path in (toolchain.build_lock, toolchain.lock)]
    key = hashlib.sha256("".join(text for _, text in locks).encode()).hexdigest()
    asked = [python37, "-c", "import sys; print(sys.base_prefix)"]
    base = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    folder = CACHE / "test-tf-gpu"
    with open(CACHE / "test-tf-gpu.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest's workers: the second would remove what the first one is making
        try:
            module.make(str(folder), str(base / "bin/python3.7"), locks, key)
        except module.Refused as error:
            shutil.rmtree(folder, ignore_errors=True)
            pytest.skip(f"SKIPPED: tensorflow-gpu could not be fetched: {str(error)[-300:]}")
    return folder
