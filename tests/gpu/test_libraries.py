"""Layer 9: what the loader gives TensorFlow, on hosts whose CUDA, cuDNN and driver are stubs with the real headers."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gpu.stub_host import Host, real
from stand_ins import cuda_libraries as stubs

from iblvideo_admin.gpu import cudnn, elf
from iblvideo_admin.gpu.checks import libraries
from iblvideo_admin.gpu.libraries import CACHE, Loader
from iblvideo_admin.gpu.sysroot import Sysroot


def test_a_working_host(host: Host) -> None:
    found = host.check()
    assert (found.status, found.remedy) == ("pass", "")
    assert "cuDNN 7.6.5" in found.summary and stubs.DRIVER_VERSION in found.summary
    # as the role writes it into the configuration
    assert host.check(cuda_root="/usr/local/cuda-10.0") == found
    # a CUDA that somebody has put elsewhere
    host.cuda.rename(host.folder / "mine")
    assert host.check(cuda_root=str(host.folder / "mine")).status == "pass"


def pretend(host: Host) -> None:
    (host.lib64 / "libcublas.so.10.0").unlink()
    (host.lib64 / "libcublas.so.10.0").symlink_to(host.folder / "other/libcublas.so.10")


def cut(path: Path) -> None:
    real(path).write_bytes(real(path).read_bytes()[:-5000])


def patch(path: Path, at: int, value: int) -> None:
    content = bytearray(real(path).read_bytes())
    content[at] = value
    real(path).write_bytes(content)


def replace_cudnn(host: Host, version: str) -> None:
    link = host.lib64 / "libcudnn.so.7"
    file = real(link)
    link.unlink()
    file.rename(host.lib64 / f"libcudnn.so.{version}")
    if version != "7":
        link.symlink_to(f"libcudnn.so.{version}")


def elsewhere(host: Host, folder: str) -> None:
    """The driver's library is taken from another folder."""
    (host.root / folder).mkdir(parents=True)
    for path in host.system.glob("libcuda*"):
        path.rename(host.root / folder / path.name)
    host.cached({"libcuda.so.1": f"/{folder}/libcuda.so.1"})


def remove(*names: str) -> Callable[[Host], object]:
    """Link and library."""
    return lambda host: [
        path.unlink() for name in names for path in host.cuda.rglob(f"{name}*") if "stubs" not in path.parts
    ]


def other_cuda(host: Host) -> None:
    remove("libcublas")(host)
    (host.lib64 / "libcublas.so.10.2").write_bytes(b"")


def header(text: str | bytes) -> Callable[[Host], object]:
    return lambda host: host.write("/usr/local/cuda-10.0/include/cudnn.h", text)


def version_file(text: str) -> Callable[[Host], object]:
    return lambda host: host.write("/usr/local/cuda-10.0/version.txt", text)


def cpu_build(host: Host) -> None:
    for name in libraries.TENSORFLOW:
        stubs.library(host.tensorflow / name)


def loop(host: Host) -> None:
    link = host.lib64 / "libcudnn.so.7"
    link.unlink()
    link.symlink_to(link.name)


def no_cache(host: Host) -> None:
    elsewhere(host, "usr/lib/nvidia")
    host.write(CACHE, bytes(99))


STUB, WRONG = "lib64/stubs/libcuda.so", "other/libcublas.so.10"
# name: how it is made; then status, and what summary and remedy say
CASES: dict[str, tuple[Callable[[Host], object], str, str, str]] = {
    "cublas": (remove("libcublas"), "fail", "libcublas.so.10.0 is not found", "--toolkitpath=/usr/local/cuda-10.0"),
    "cusolver": (remove("libcusolver"), "fail", "libcusolver.so.10.0 is not found", "--toolkitpath="),
    "no CUDA": (lambda h: shutil.rmtree(h.cuda), "fail", "libcudart.so.10.0 is not found", "--toolkitpath="),
    "cufft": (remove("libcufft"), "fail", "cufft.so.10.0 is not found (opened only when first used)", "--toolkit"),
    "curand": (remove("libcurand"), "fail", "libcurand.so.10.0 is not found (opened only", "--toolkit"),
    "cupti": (remove("libcupti"), "warn", "libcupti.so.10.0 is not found", "extras/CUPTI/lib64"),
    "cudnn": (remove("libcudnn"), "fail", "libcudnn.so.7 is not found", "cp -P cuda/lib64/libcudnn*"),
    "dangling": (lambda h: real(h.lib64 / "libcudnn.so.7").unlink(), "fail", "libcudnn.so.7 is not found", "cp -P"),
    "loop": (loop, "fail", "libcudnn.so.7 is not found", "cp -P"),
    "cut": (lambda h: cut(h.lib64 / "libcublas.so.10.0"), "fail", "cannot be loaded: it is cut short", "--toolkit"),
    "empty": (lambda h: real(h.lib64 / "libcudart.so.10.0").write_bytes(b""), "fail", "it is empty", "--toolkit"),
    "a text": (lambda h: real(h.lib64 / "libcudart.so.10.0").write_text("<html>"), "fail", "no ELF file", "--toolkit"),
    "32 bit": (lambda h: patch(h.lib64 / "libcudart.so.10.0", 4, 1), "fail", "so.10.0 is not found", "--toolkit"),
    "for ARM": (lambda h: patch(h.lib64 / "libcudart.so.10.0", 18, 183), "fail", "so.10.0 is not found", "--toolkit"),
    "pretended": (pretend, "fail", "it calls itself libcublas.so.10", "rm /"),
    "10.2 only": (other_cuda, "fail", "libcublas.so.10.0 is not found", "--toolkit"),
    "cudnn 7.1.4": (lambda h: replace_cudnn(h, "7.1.4"), "fail", "cuDNN 7.1.4 does not serve", "libcudnn*"),
    "cudnn 7.6.4": (lambda h: replace_cudnn(h, "7.6.4"), "warn", "7.6.4 is not the toolchain's 7.6.5", "libcudnn*"),
    "cudnn 8.1.1": (lambda h: replace_cudnn(h, "8.1.1"), "fail", "cuDNN 8.1.1 does not serve", "libcudnn*"),
    "cudnn ?": (lambda h: replace_cudnn(h, "7"), "warn", "which cuDNN it is cannot be told", "libcudnn*"),
    "header": (header(stubs.HEADER.format(7, 4, 2)), "warn", "library is 7.6.5, its header 7.4.2", "libcudnn*"),
    "bad header": (header(b"\xff\0#define CUDNN_MAJOR x"), "warn", "header cannot be read", "libcudnn*"),
    "no header": (lambda h: (h.cuda / "include/cudnn.h").unlink(), "pass", "", ""),
    "libcuda": (lambda h: shutil.rmtree(h.system), "fail", "libcuda.so.1 of driver 470.256.02 is not found",
                "apt-get install libnvidia-compute-470`"),
    "compat": (lambda h: elsewhere(h, "usr/local/cuda-10.1/compat"), "fail", "compatibility package", "ldconfig"),
    "stubs": (lambda h: elsewhere(h, "usr/local/cuda/lib64/stubs"), "fail", "which are for linking", "ldconfig"),
    "linked stub": (lambda h: (h.lib64 / "libcuda.so.1").symlink_to(h.cuda / STUB), "fail", "CUDA's stubs", "rm /"),
    "copied stub": (lambda h: shutil.copy(h.cuda / STUB, h.lib64 / "libcuda.so.1"), "fail", "hides that", "rm /"),
    "cut libcuda": (lambda h: cut(h.system / "libcuda.so.1"), "fail", "loaded: it is cut short", "--reinstall"),
    "no cache": (no_cache, "fail", "libcuda.so.1 of driver 470.256.02 is not found", "apt-get"),
    "cached": (lambda h: elsewhere(h, "usr/lib/nvidia/current"), "pass", "", ""),
    "no TensorFlow": (lambda h: shutil.rmtree(h.tensorflow), "skip", "there is no TensorFlow", "ansible-playbook"),
    "its file": (lambda h: (h.tensorflow / libraries.TENSORFLOW[0]).unlink(), "fail", "framework.so cannot be loaded",
                 "--force-reinstall tensorflow-gpu==1.13.1"),
    "its cut file": (lambda h: cut(h.tensorflow / libraries.TENSORFLOW[1]), "fail", "cannot be loaded", "-reinstall"),
    "CPU build": (cpu_build, "fail", "the CPU build's", "uninstall -y tensorflow tensorflow-gpu"),
    "beside it": (lambda h: shutil.copy(h.folder / WRONG, h.tensorflow / "python/libcublas.so.10.0"), "fail",
                  "calls itself libcublas.so.10", "rm /"),
    "nvcc": (lambda h: h.write("/usr/bin/nvcc", ""), "warn", "/usr/bin/nvcc belongs to another CUDA", "Nothing to do"),
    "version": (version_file("CUDA Version 10.1.243"), "warn", "does not call itself CUDA 10.0", "--toolkit"),
    "no version": (lambda h: (h.cuda / "version.txt").unlink(), "pass", "", ""),
    "closed file": (lambda h: real(h.lib64 / "libcudnn.so.7").chmod(0o600), "fail", "libcudnn.so.7", "chmod -R a+rX"),
    "closed folder": (lambda h: h.lib64.chmod(0o600), "fail", "libcudart.so.10.0", "chmod -R a+rX"),
    "no OpenMP": (lambda h: stubs.library(h.system / "libc.so.6"), "warn", "libgomp.so.1, which Tensor", "libgomp1"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named_with_what_to_type(host: Host, name: str) -> None:
    harm, status, said, remedy = CASES[name]
    harm(host)
    found = host.check()
    if host.lib64.exists():
        host.lib64.chmod(0o755)  # or pytest could not remove it
    assert (found.status, said in found.summary, remedy in found.remedy) == (status, True, True), found
    assert found.evidence
    assert found.status == "pass" or found.remedy


def test_what_lies_nearby_is_evidence(host: Host) -> None:
    other_cuda(host)
    assert f"there is only {host.lib64}/libcublas.so.10.2" in host.check().evidence


def test_the_driver_that_runs_and_the_one_whose_library_is_there(host: Host) -> None:
    found = host.check(driver="535.183.01")
    assert found.status == "fail"
    assert "is of driver 470.256.02, but driver 535.183.01 runs" in found.summary and "reboot" in found.remedy
    assert host.check(driver=None).status == "pass"


def test_without_a_driver_its_library_is_not_to_blame(host: Host) -> None:
    """The layers below say why there is none; CUDA's own libraries are judged all the same."""
    shutil.rmtree(host.system)
    found = host.check(driver=None)
    assert (found.status, "libcuda.so.1 of the driver" in found.summary) == ("skip", True)
    remove("libcudnn")(host)
    found = host.check(driver=None)
    assert (found.status, "libcudnn.so.7 is not found" in found.summary) == ("fail", True)


@pytest.mark.parametrize("name", ["libcudnn.so.7", "libcuda.so.1", *libraries.TENSORFLOW])
def test_a_user_who_may_not_read(host: Host, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What root, as whom tests may run, cannot see by itself."""
    read = elf.read

    def forbidden(path: Path) -> elf.Library:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(elf, "read", forbidden)
    found = host.check()
    assert (found.status, Path(name).name in found.summary, "Permission denied" in found.evidence) == (
        "fail",
        True,
        True,
    )
    assert "chmod -R a+rX" in found.remedy or name == "libcuda.so.1"


def test_a_folder_that_ldconfig_has_not_seen(host: Host) -> None:
    """The library is installed, the cache is old."""
    for path in host.cuda.rglob("libcublas*"):
        path.unlink()
    stubs.library(host.root / "opt/nvidia/libcublas.so.10.0")
    host.write("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
    host.write("/etc/ld.so.conf.d/nvidia.conf", f"# theirs\n{host.root}/opt/nvidia\n")
    host.write("/etc/ld.so.conf.d/readme", "/nowhere\n")
    found = host.check()
    assert found.status == "fail" and found.remedy.startswith("`ldconfig`")
    host.cached({"libcublas.so.10.0": f"{host.root}/opt/nvidia/libcublas.so.10.0"})
    found = host.check()
    assert (found.status, "comes from outside" in found.summary) == ("warn", True)


def test_a_damaged_ld_so_conf(host: Host) -> None:
    """A search of a thousand damages found it: NUL is in no path, and the calls that take one refuse it."""
    for path in host.cuda.rglob("libcublas*"):
        path.unlink()
    host.write("/etc/ld.so.conf", "include /etc/ld.so\0conf.d/*.conf\n/usr/lib\0l\n")
    assert host.check().summary.startswith("libcublas.so.10.0 is not found")


def test_copies_in_place_of_links(host: Host) -> None:
    """What `cp` without -P leaves."""
    link = host.lib64 / "libcudnn.so.7"
    content = link.read_bytes()
    link.unlink()
    link.write_bytes(content)
    assert cudnn.library_version(link) == 7605
    assert host.check().status == "pass"


def test_a_described_host_has_no_libraries_of_the_distribution(host: Host) -> None:
    """Without a C library nothing is said of OpenMP; with both nothing is wrong."""
    assert host.check().status == "pass"
    stubs.library(host.system / "libc.so.6")
    shutil.copy(host.folder / "other/libgomp.so.1", host.system)
    assert host.check().status == "pass"


@pytest.mark.parametrize("name", ["c", "m", "dl", "pthread", "stdc++", "z"])
def test_the_real_loader_agrees(name: str) -> None:
    """About this machine's own libraries."""
    soname = ctypes.util.find_library(name)
    if soname is None:
        pytest.skip(f"SKIPPED: no lib{name} here")
    code = f"import ctypes; ctypes.CDLL({soname!r}); print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    found = Loader(Sysroot(Path("/")), []).find(soname)
    assert found.path is not None and found.library is not None
    assert f" {os.path.realpath(found.path)}\n" in maps


def test_ldd_agrees(host: Host) -> None:
    """The loader's own answer for TensorFlow's file, with the LD_LIBRARY_PATH of a job."""
    file = host.tensorflow / libraries.TENSORFLOW[1]
    library = elf.read(file)
    folders = [host.lib64, host.cupti]
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, folders))}
    said = subprocess.run(
        ["/usr/bin/env", "ldd", file], env=environment, capture_output=True, text=True, check=True
    ).stdout
    loader = Loader(Sysroot(Path("/")), folders, [Path(folder) for folder in library.rpath])
    for line in said.splitlines():
        name, arrow, path = line.partition(" => ")
        if arrow and name.strip() in library.needed:
            found = loader.find(name.strip()).path
            assert os.path.realpath(str(found)) == os.path.realpath(path.split(" (")[0].strip()), line


def test_a_driver_whose_version_is_no_version_is_not_compared(host: Host) -> None:
    assert host.check(driver="470.256.02-custom").status == "pass"
