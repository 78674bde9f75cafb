"""What the tests of the engines need."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Pids

from iblvideo_admin.engines.tensorflow1 import TensorFlow1

STAND_IN = Path(__file__).parents[1] / "stand_ins/sidecar.py"
PATIENT_S = 30.0  # far longer than a good stand-in takes on a busy machine


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


@pytest.fixture
def pids(tmp_path: Path, alive: Callable[[int], bool]) -> Iterator[Pids]:
    found = Pids(tmp_path / "pids", alive)
    yield found
    for pid in found.alive():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(tmp_path: Path, pids: Pids) -> Iterator[Callable[..., TensorFlow1]]:
    with open(tmp_path / "log", "ab") as log:

        def make(
            behaviour: str, *, lease: tuple[int, ...] = (), more: dict[str, str] | None = None, **limits: float
        ) -> TensorFlow1:
            environment = {"STAND_IN": behaviour, "STAND_IN_PIDS": str(pids.path), **(more or {})}
            limits = {"start_limit_s": PATIENT_S, "answer_limit_s": PATIENT_S, **limits}
            return TensorFlow1(
                Path(sys.executable), log, environment=environment, lease=lease, sidecar=STAND_IN, **limits
            )

        yield make
