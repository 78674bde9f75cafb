"""A host of stubs, made once and copied for each test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from gpu.stub_host import Host
from stand_ins import cuda_libraries as stubs


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cc"):
        missing = "there is no C compiler to make the stubs with"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(f"SKIPPED: {missing}")
    host = Host(tmp_path_factory.mktemp("host"))
    stubs.toolkit(host.cuda)
    libcuda = stubs.driver(host.system)
    stubs.tensorflow(host.environment, host.cuda, libcuda)
    stubs.library(host.folder / "other/libcublas.so.10")
    stubs.library(host.folder / "other/libgomp.so.1")
    return host.folder


@pytest.fixture
def host(template: Path, tmp_path: Path) -> Host:
    shutil.copytree(template, tmp_path / "host", symlinks=True)
    return Host(tmp_path / "host")
