"""With what the stand-ins install, the real tensorflow-gpu 1.13.1 is imported; without it, it says what people see."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import tensorflow_gpu
from stand_ins import cuda_libraries
from stand_ins.provision import cuda_runfile, cudnn_archive, symbols

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]
CODE = """
import tensorflow
from tensorflow.python.client import device_lib
print(tensorflow.VERSION, sorted(device.device_type for device in device_lib.list_local_devices()))
"""


@pytest.fixture(scope="module")
def python(dlc_python: Path) -> Path:
    return tensorflow_gpu.environment(dlc_python) / "bin/python"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CUDA by its installer, cuDNN over it as NVIDIA says, the driver's library."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--silent", "--toolkit", f"--toolkitpath={folder}/cuda-10.0", "--override"]
    environment = os.environ | {"STAND_IN_ROOT": str(folder / "root")}
    subprocess.run(["/bin/sh", cuda_runfile.make(folder), *options], env=environment, check=True)
    subprocess.run(["/usr/bin/env", "tar", "-xf", cudnn_archive.make(folder), "-C", folder], check=True)
    for path in (folder / "cuda/lib64").iterdir():
        shutil.move(path, folder / "cuda-10.0/lib64")
    cuda_libraries.driver(folder / "driver", symbols=symbols.wanted())
    return folder


def imported(python: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    library_path = f"{installed}/cuda-10.0/lib64:{installed}/driver"
    command = [python, "-W", "ignore", "-c", CODE]
    environment = {"LD_LIBRARY_PATH": library_path, "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_is_imported_and_finds_no_card(python: Path, installed: Path) -> None:
    done = imported(python, installed)
    assert (done.returncode, done.stdout) == (0, "1.13.1 ['CPU', 'XLA_CPU']\n"), done.stderr
    assert "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected" in done.stderr


@pytest.mark.parametrize(
    "taken",
    [
        "cuda-10.0/lib64/libcudart.so.10.0",
        "cuda-10.0/lib64/libcublas.so.10.0",
        "cuda-10.0/lib64/libcusolver.so.10.0",
        "cuda-10.0/lib64/libcudnn.so.7",
        "driver/libcuda.so.1",
    ],
)
def test_one_library_is_missing(python: Path, installed: Path, tmp_path: Path, taken: str) -> None:
    shutil.copytree(installed, tmp_path / "installed", symlinks=True)
    (tmp_path / "installed" / taken).unlink()
    done = imported(python, tmp_path / "installed")
    said = f"ImportError: {Path(taken).name}: cannot open shared object file: No such file or directory"
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
