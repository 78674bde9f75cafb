"""What all tests share: a lab in a folder, the interpreter of the real toolchain, the data beside the checkout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

sys.path.insert(0, str(Path(__file__).parent))

from e2e.hosts import Hosts, missing
from lab import Lab

# A busy machine is no failure: what may hang is ended by pytest's own limit.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A whole set-up in one folder, with a stand-in for the Python 3.7 environment."""
    return Lab(tmp_path)


@pytest.fixture(scope="session")
def dlc_python() -> Path:
    """The real TensorFlow 1.13.1 and DeepLabCut 2.1.5.2; ``make test`` builds it."""
    named = os.environ.get("IBLVIDEO_ADMIN_TEST_DLC_PYTHON")
    path = Path(named) if named else ROOT / ".cache/dlc-tf1-cpu/current/bin/python"
    if not path.exists():
        if os.environ.get("CI"):  # there `make test` has just built it: a skip would hide that it did not
            pytest.fail(f"no environment of toolchain dlc-tf1-cpu at {path}")
        pytest.skip(f"SKIPPED: no environment of toolchain dlc-tf1-cpu at {path}; `make test` builds one")
    return path


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Real Debian hosts, booted when a test asks for one; their base tree takes two minutes once."""
    if reason := missing():
        if os.environ.get("CI"):  # .ci/run has just installed what they need
            pytest.fail(reason)
        pytest.skip(f"SKIPPED: {reason}")
    with Hosts(tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recordings of real rigs, which the project does not contain."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("SKIPPED: the folder of real recordings is not beside the checkout")
    return folder


def pytest_configure() -> None:
    """Fail early, with a reason, where the package under test is not the one of this checkout."""
    import iblvideo_admin

    if not Path(iblvideo_admin.__file__).is_relative_to(ROOT):
        raise pytest.UsageError(f"iblvideo_admin is imported from {iblvideo_admin.__file__}, not from {ROOT}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Test hosts are booted, and made ready, by one worker."""
    from groups import scheduler

    return scheduler(config, log)
