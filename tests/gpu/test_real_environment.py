"""The real tensorflow-gpu 1.13.1 in an environment made from its lock, with stubs of CUDA, cuDNN and the driver.

`iblvideo-admin check-gpu` itself, on a host that is described by a folder: whatever is taken away is named first.
Without a card the check ends at layer 12: TensorFlow is imported and finds no device.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow_gpu
from gpu import nvml_machines
from gpu.machines import LIBRARIES, working
from lab import Lab
from stand_ins import cuda_libraries as stubs

from iblvideo_admin.gpu.checks.libraries import TENSORFLOW

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]
LIMIT_S = 400
MACHINE, DRIVER = "gtx_1080_ti_on_410", "410.48"


@pytest.fixture(scope="session")
def environment(dlc_python: Path) -> Path:
    return tensorflow_gpu.environment(dlc_python)


@pytest.fixture(scope="session")
def whole_stubs(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every symbol that the real TensorFlow wants."""
    folder = tmp_path_factory.mktemp("cuda")
    tensorflow = environment / "lib/python3.7/site-packages/tensorflow"
    symbols = stubs.wanted(tensorflow / name for name in TENSORFLOW)
    stubs.toolkit(folder / "cuda-10.0", symbols)
    stubs.driver(folder / "driver", symbols=symbols)
    return folder


class Server:
    """A described host with a GTX 1080 Ti, a copy of the environment, stubs, and the command."""

    def __init__(self, lab: Lab, environment: Path, whole: Path, copy: Path) -> None:
        self.lab, self.environment, self.cuda = lab, copy / "env", lab.folder / "cuda-10.0"
        subprocess.run(["/usr/bin/env", "cp", "-al", environment, self.environment], check=True)
        shutil.copytree(whole / "cuda-10.0", self.cuda, symlinks=True)
        machine = working(lab.folder / "root", version=DRIVER)
        machine.write("/etc/os-release", "ID=ubuntu\nVERSION_ID=22.04\n")
        machine.write("/proc/cpuinfo", "model name\t: a processor\nflags\t\t: fpu avx\n")
        for path in machine.path(LIBRARIES).glob("libcuda.so.*"):
            path.unlink()
        stubs.driver(machine.path(LIBRARIES), DRIVER)
        # TensorFlow's process is this machine's: there the driver's library lies in no usual folder
        self.python = self.environment / "bin/python-on-a-server"
        self.start(f'LD_LIBRARY_PATH="$LD_LIBRARY_PATH:{whole}/driver"')
        self.nvml = nvml_machines.library(lab.folder, 410)

    def start(self, line: str) -> None:
        """What the interpreter's wrapper does before it starts Python."""
        self.python.write_text(f'#!/bin/sh\n{line}\nexport LD_LIBRARY_PATH\nexec "$(dirname "$0")/python" "$@"\n')
        self.python.chmod(0o755)

    def check(self) -> dict:
        return self.lab.json(
            "check-gpu", "--toolchain", stubs.TOOLCHAIN.name, limit_s=LIMIT_S,
            IBLVIDEO_ADMIN_SYSROOT=str(self.lab.folder / "root"),
            IBLVIDEO_ADMIN_CUDA_ROOT=str(self.cuda),
            IBLVIDEO_ADMIN_DLC_PYTHON=str(self.python),
            LD_LIBRARY_PATH=str(self.nvml),
            NVML_MACHINE=str(nvml_machines.NVML / f"machines/{MACHINE}.txt"),
        )  # fmt: skip


@pytest.fixture
def server(lab: Lab, environment: Path, whole_stubs: Path) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir=tensorflow_gpu.CACHE, prefix="copy-") as copy:  # where hard links reach
        yield Server(lab, environment, whole_stubs, Path(copy))


def first(document: dict) -> tuple[str, str, str]:
    problem = document["errors"][0]
    return problem["code"].removeprefix("check."), problem["message"], problem["remedy"]


def test_nothing_is_missing_but_the_card(server: Server) -> None:
    document = server.check()
    statuses = {found["id"]: found["status"] for found in document["data"]["checks"]}
    assert (statuses["libraries"], statuses["packages"]) == ("pass", "pass"), json.dumps(document, indent=1)
    layer, message, _ = first(document)
    assert layer == "compute" and "sees no GPU" in message
    [compute] = [found for found in document["data"]["checks"] if found["id"] == "compute"]
    assert "failed call to cuInit: CUDA_ERROR_NO_DEVICE" in compute["evidence"]


@pytest.mark.parametrize(
    ("taken", "layer", "said", "remedy"),
    [
        ("cuDNN", "libraries", "libcudnn.so.7 is not found", "libcudnn*"),
        ("libcusolver", "libraries", "libcusolver.so.10.0 is not found", "--toolkitpath="),
        ("DLClight", "packages", "DLClight is not set", "export DLClight=True"),
        ("Python", "packages", "cannot be run", "ansible-playbook site.yml"),
        ("TensorFlow's end", "libraries", "_pywrap_tensorflow_internal.so cannot be loaded", "--force-reinstall"),
        ("protobuf's pin", "packages", "protobuf is 4.24.4 (locked 3.20.3)", "protobuf==3.20.3"),
    ],
)
def test_what_is_taken_away_is_named_first(server: Server, taken: str, layer: str, said: str, remedy: str) -> None:
    python = server.environment / "bin/python"
    if taken == "cuDNN":
        for path in server.cuda.rglob("libcudnn*"):
            path.unlink()
    elif taken == "libcusolver":
        (server.cuda / "lib64/libcusolver.so.10.0").unlink()
    elif taken == "DLClight":
        server.start("unset DLClight")
    elif taken == "Python":
        python.unlink()
    elif taken == "TensorFlow's end":
        path = server.environment / "lib/python3.7/site-packages/tensorflow" / TENSORFLOW[1]
        path.unlink()  # the other name of the file is the environment in the cache
        path.write_bytes(b"\x7fELF")
    else:
        command = [python, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", "protobuf==4.24.4"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"SKIPPED: protobuf 4 could not be fetched: {done.stderr[-300:]}")
    found = first(server.check())
    assert (found[0], said in found[1], remedy in found[2]) == (layer, True, True), found


def test_the_weights_are_named_first(lab: Lab, dlc_python: Path) -> None:
    """On the toolchain that can compute here."""
    shutil.rmtree(next(lab.weights.glob("paw2-*")))
    layer, message, _ = first(lab.json("check-gpu", limit_s=LIMIT_S, IBLVIDEO_ADMIN_DLC_PYTHON=str(dlc_python)))
    assert (layer, "paw2-mic-*" in message) == ("weights", True)
