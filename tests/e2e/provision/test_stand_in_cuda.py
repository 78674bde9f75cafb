"""The stand-ins for NVIDIA's files behave as the real ones: what installers do and leave alone, what archives hold."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from stand_ins.provision import cuda_runfile, cudnn_archive
from stand_ins.provision.cuda_runfile import CUDA_10_0, CUDA_11_8, Behaviour

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import elf

TOOLCHAIN = toolchains.load("dlc-tf1-cuda10.0")
RELEASES = pytest.mark.parametrize("release", [CUDA_10_0, CUDA_11_8], ids=lambda release: release.version)

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="SKIPPED: there is no C compiler to make stubs with"),
    pytest.mark.skipif(shutil.which("perl") is None, reason="SKIPPED: CUDA's installer is written in Perl"),
]


class Host:
    """A folder in place of /, with an installer in it and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.prefix, self.path = folder / "root", folder / "opt/cuda", folder / "bin"
        self.path.mkdir()
        self.program("gcc", "echo 12")

    def program(self, name: str, line: str) -> None:
        (self.path / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.path / name).chmod(0o755)

    def run(self, file: Path, *options: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.path}:{os.environ['PATH']}", "STAND_IN_ROOT": str(self.root)} | more
        return subprocess.run(["/bin/sh", file, *options], cwd=cwd or self.root.parent, env=environment,
                              capture_output=True, text=True, check=False, timeout=60)  # fmt: skip

    def install(self, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run(file, "--silent", "--toolkit", f"--toolkitpath={self.prefix}", *options)

    def outside(self) -> set[str]:
        """What it wrote outside of the toolkit's folder, logs left out."""
        paths = [path for path in self.root.rglob("*") if path.suffix != ".log"]
        return {str(path.relative_to(self.root)) for path in paths if path.is_symlink() or not path.is_dir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@RELEASES
def test_the_toolkit_alone_goes_into_its_folder_only(host: Host, tmp_path: Path, release) -> None:
    done = host.install(cuda_runfile.make(tmp_path, release), "--override")
    assert (done.returncode, host.outside()) == (0, set()), done
    assert "Driver:   Not Selected" in done.stdout and f"Installed in {host.prefix}" in done.stdout
    assert list(host.root.rglob("*.log"))
    nvcc = subprocess.run([host.prefix / "bin/nvcc", "--version"], capture_output=True, text=True, check=True)
    assert f"release {release.version}, V{release.release}" in nvcc.stdout
    assert f"CUDA_VERSION {release.number}" in (host.prefix / "include/cuda.h").read_text()
    for soname, version in release.libraries.items():
        [link] = host.prefix.rglob(soname)
        assert link.resolve().name == f"{soname.split('.so.')[0]}.so.{version}"
        assert elf.read(link).soname == soname
    assert elf.read(host.prefix / "lib64/stubs/libcuda.so").soname == "libcuda.so.1"
    number = ctypes.c_int()
    [runtime] = host.prefix.rglob("libcudart.so")
    ctypes.CDLL(str(runtime)).cudaRuntimeGetVersion(ctypes.byref(number))
    assert number.value == release.number


def test_the_file_is_the_toolchains(tmp_path: Path, host: Host) -> None:
    assert TOOLCHAIN.cuda is not None and TOOLCHAIN.cudnn is not None
    assert cuda_runfile.make(tmp_path).name == TOOLCHAIN.cuda["file"]
    assert cudnn_archive.make(tmp_path).name == TOOLCHAIN.cudnn["file"]
    assert set(TOOLCHAIN.cuda["libraries"]) <= set(CUDA_10_0.libraries)
    flags = [*TOOLCHAIN.cuda["flags"], f"{TOOLCHAIN.cuda['flag_prefix']}{host.prefix}"]
    assert host.run(tmp_path / CUDA_10_0.runfile, *flags).returncode == 0
    assert (host.prefix / "version.txt").read_text() == f"CUDA Version {TOOLCHAIN.cuda['release']}\n"


@RELEASES
def test_without_the_choice_a_driver_comes_too(host: Host, tmp_path: Path, release) -> None:
    done = host.run(cuda_runfile.make(tmp_path, release), "--silent", "--override", HOME=str(tmp_path))
    assert done.returncode == 0, done
    assert {"usr/bin/nvidia-uninstall", "usr/local/cuda"} <= host.outside()
    assert (host.root / "usr/local/cuda").resolve() == host.root / f"usr/local/cuda-{release.version}"


@RELEASES
def test_a_compiler_that_is_too_new(host: Host, tmp_path: Path, release) -> None:
    file = cuda_runfile.make(tmp_path, release)
    done = host.install(file)
    assert done.returncode != 0 and not host.prefix.exists()
    host.program("gcc", "echo 7")
    assert host.install(file).returncode == 0


def test_no_perl(host: Host, tmp_path: Path) -> None:
    file = cuda_runfile.make(tmp_path)
    host.program("perl", "exit 127")
    for name in ("sh", "tail", "md5sum", "cut", "mkdir", "rm", "tar", "gzip", "env"):
        (host.path / name).symlink_to(str(shutil.which(name)))
    (host.path / "perl").unlink()
    done = host.run(file, "--silent", "--toolkit", PATH=str(host.path))
    assert (done.returncode, "perl" in done.stderr) == (127, True), done


@RELEASES
def test_on_a_newer_system_it_only_unpacks(host: Host, tmp_path: Path, release) -> None:
    file = cuda_runfile.make(tmp_path, release, Behaviour("newer-system"))
    done = host.install(file, "--override")
    assert done.returncode != 0 and not host.prefix.exists()
    if release is CUDA_10_0:
        assert "Toolkit:  Installation Failed" in done.stdout
        [log] = host.root.rglob("*.log")
        assert "Can't locate InstallUtils.pm in @INC" in log.read_text()
    else:
        assert "libxml2.so.2: cannot open shared object file" in done.stderr
    assert host.run(file, "--noexec", "--target", str(tmp_path / "out")).returncode == 0
    if release is CUDA_11_8:
        assert (tmp_path / "out/builds/cuda_cudart/lib64/libcudart.so.11.0").exists()
        return
    inner = tmp_path / "out/run_files" / cuda_runfile.INNER
    assert host.run(inner, "--keep", "--noexec", cwd=tmp_path / "out").returncode == 0
    assert (tmp_path / "out/pkg/lib64/libcudart.so.10.0").exists()
    command = ["/usr/bin/env", "PERL5LIB=.", "perl", "install-linux.pl", f"--prefix={host.prefix}", "-nosymlink"]
    subprocess.run(command, cwd=tmp_path / "out/pkg", check=True, capture_output=True)
    assert (host.prefix / "bin/nvcc").exists()


@RELEASES
def test_extract(host: Host, tmp_path: Path, release) -> None:
    file = cuda_runfile.make(tmp_path, release)
    assert host.run(file, f"--extract={tmp_path}/out").returncode == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert f"NVIDIA-Linux-x86_64-{release.driver}.run" in names
    assert (cuda_runfile.INNER if release is CUDA_10_0 else "cuda_nvcc") in names
    assert host.run(file, "--extract=out").returncode == 1


@RELEASES
def test_what_was_cut_short_is_refused(host: Host, tmp_path: Path, release) -> None:
    file = cuda_runfile.make(tmp_path, release)
    file.write_bytes(file.read_bytes()[:-100])
    done = host.install(file, "--override")
    assert (done.returncode, "Error in MD5 checksums" in done.stderr, host.prefix.exists()) == (2, True, False)


@RELEASES
@pytest.mark.parametrize("way", ["half-way", "pause"])
def test_half_of_the_files(host: Host, tmp_path: Path, release, way) -> None:
    file = cuda_runfile.make(tmp_path, release, Behaviour("half-way") if way == "half-way" else Behaviour(pause_s=30))
    if way == "half-way":
        assert host.install(file, "--override").returncode != 0
    else:
        command = ["/bin/sh", file, "--silent", "--toolkit", f"--toolkitpath={host.prefix}", "--override"]
        environment = os.environ | {"STAND_IN_ROOT": str(host.root), "TMPDIR": str(tmp_path)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True) as running:
            deadline, found = time.monotonic() + 20, -1
            while time.monotonic() < deadline and (found := len(list(host.prefix.rglob("*")))) < 15:
                time.sleep(0.05)
            time.sleep(0.2)
            os.killpg(running.pid, 9)
        assert found >= 15
    assert 10 < len([path for path in host.prefix.rglob("*") if not path.is_dir()]) < 40
    assert not (host.prefix / "version.txt").exists() and not (host.prefix / "version.json").exists()


def test_the_link_may_be_turned_all_the_same(host: Host, tmp_path: Path) -> None:
    assert host.install(cuda_runfile.make(tmp_path, CUDA_10_0, Behaviour(relinks=True)), "--override").returncode == 0
    assert (host.root / "usr/local/cuda").resolve() == host.prefix


@pytest.mark.parametrize("release", [cudnn_archive.CUDNN_7_6_5, cudnn_archive.CUDNN_8_6_0], ids=lambda r: r.version)
def test_cudnn(tmp_path: Path, release) -> None:
    with tarfile.open(cudnn_archive.make(tmp_path, release)) as tar:
        assert {member.uid for member in tar} == {10174}
    subprocess.run(["/usr/bin/env", "tar", "-xf", tmp_path / release.file, "-C", tmp_path], check=True)
    top = tmp_path / release.top
    [link] = top.rglob("libcudnn.so")
    assert str(link.readlink()) == f"libcudnn.so.{release.numbers[0]}"
    assert link.resolve().name == "libcudnn.so." + release.version.rsplit(".", 1)[0]
    assert ctypes.CDLL(str(link)).cudnnGetVersion() == release.number
    header = top / ("include/cudnn.h" if release.numbers[0] == 7 else "include/cudnn_version.h")
    assert f"#define CUDNN_MINOR {release.numbers[1]}\n" in header.read_text()


def test_cudnn_with_another_header_and_hostile_members(tmp_path: Path) -> None:
    with tarfile.open(cudnn_archive.make(tmp_path, header="7.4.2", hostile=cudnn_archive.HOSTILE)) as tar:
        header = tar.extractfile("cuda/include/cudnn.h")
        assert header is not None and b"CUDNN_MINOR 4" in header.read()
        names = tar.getnames()
    assert {"../../etc/hostile", "/etc/hostile", "cuda/out/hostile", "cuda/lib64/null"} <= set(names)
