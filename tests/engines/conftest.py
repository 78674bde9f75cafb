"""What the tests of the engines need."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that only waits to be reaped does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.fixture(scope="session")
def alive() -> Callable[[int], bool]:
    """``alive(pid)``."""
    return is_alive


@pytest.fixture(scope="session")
def demo_weights() -> Path:
    """The demo networks that the project carries."""
    import iblvideo_admin

    named = os.environ.get("IBLVIDEO_ADMIN_TEST_WEIGHTS")
    folder = Path(named) if named else Path(iblvideo_admin.__file__).parent / "demo/weights"
    if not any(folder.glob("*/config.yaml")):
        pytest.fail(f"there are no networks in {folder}: the project carries them")
    return folder
