"""The toolkit out of NVIDIA's unpacked installer is the one that the installer would have made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins.provision import cuda_runfile, cuda_toolkit
from stand_ins.provision.cuda_runfile import CUDA_10_0, CUDA_11_8, Behaviour

PROGRAM = Path(__file__).resolve().parents[2] / "roles/cuda/files/take_cuda_apart.py"
RELEASES = pytest.mark.parametrize("release", [CUDA_10_0, CUDA_11_8], ids=lambda release: release.version)

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="SKIPPED: there is no C compiler to make stubs with"),
    pytest.mark.skipif(shutil.which("perl") is None, reason="SKIPPED: CUDA's installer is written in Perl"),
]


def unpack(runfile: Path, folder: Path) -> Path:
    command = ["/bin/sh", runfile, "--keep", "--noexec", "--target", folder]
    subprocess.run(command, check=True, capture_output=True, cwd=folder.parent)
    return folder


def take(unpacked: Path, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(unpacked), str(root)]
    return subprocess.run(command, check=False, capture_output=True, text=True, umask=0o077)


def tree(root: Path) -> dict[str, bytes | str]:
    paths = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_bytes() for path in paths
    }


@RELEASES
def test_it_is_what_the_installer_makes(tmp_path: Path, release: cuda_toolkit.Release) -> None:
    runfile = cuda_runfile.make(tmp_path, release, Behaviour(broken="newer-system"))
    root = tmp_path / "cuda"
    done = take(unpack(runfile, tmp_path / "apart"), root)
    assert done.returncode == 0, done.stderr
    assert tree(root) == tree(cuda_toolkit.install(release, tmp_path / "wanted"))
    names = {path.name for path in root.rglob("*")}
    assert not {"install-linux.pl", "InstallUtils.pm"} & names and not any("NVIDIA-Linux" in name for name in names)
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o7777
            assert mode == (0o755 if path.is_dir() or mode & 0o100 else 0o644), path
    assert os.access(root / "bin/nvcc", os.X_OK)


def test_what_is_no_installer_is_named(tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    done = take(tmp_path / "apart", tmp_path / "cuda")
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/apart holds neither builds/ nor run_files/cuda-linux*.run\n"


def test_an_inner_installer_that_is_damaged(tmp_path: Path) -> None:
    unpacked = unpack(cuda_runfile.make(tmp_path), tmp_path / "apart")
    [inner] = unpacked.glob("run_files/cuda-linux*")
    inner.write_bytes(inner.read_bytes()[:-100])
    done = take(unpacked, tmp_path / "cuda")
    assert done.returncode == 1
    assert inner.name in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "cuda").exists()
