"""NVIDIA's installer goes wrong, or meets what others have: nothing is left half done, and theirs is not touched."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e.provision.faulty import Faulty
from stand_ins.provision.cuda_runfile import Behaviour

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]

OTHERS = ("/usr/local/cuda", "/usr/local/cuda-9.2", "/etc/ld.so.conf.d", "/etc/profile", "/etc/profile.d",
          "/etc/bash.bashrc", "/etc/apt", "/etc/environment", "/root", "/home")  # fmt: skip


@pytest.mark.parametrize("how", ["auto", "extract"])
def test_no_room_for_the_toolkit(faulty: Callable[..., Faulty], how: str) -> None:
    place = faulty(cuda_install=how)
    place.sh("mount -t tmpfs -o size=200k,mode=755 small /usr/local && ln -s cuda-9.2 /usr/local/cuda")
    place.fails("/usr/local/cuda-10.0 would have 0.0 GB free, base_min_free_gb wants 10", "make room there")
    place.fails(
        "CUDA 10.0 could not be installed into /usr/local/cuda-10.0", "No space left on device",
        "Make room on the disks of /usr/local/cuda-10.0", base_min_free_gb=0,
    )  # fmt: skip
    assert place.ls("/usr/local") == ["cuda"], "what did not fit takes no room"
    assert place.ls("/opt/iblvideo/downloads") == []
    place.sh("mount -o remount,size=500m /usr/local")
    place.completes(base_min_free_gb=0.1)


def test_the_host_dies_while_the_installer_runs(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    place.installer(Behaviour(pause_s=6, relinks=True))
    place.sh("mkdir /usr/local/cuda-9.2 && ln -s cuda-9.2 /usr/local/cuda")
    running = place.site.start("site.yml", "--tags", "base,cuda,cudnn")
    half = place.host.root / "usr/local/cuda-10.0/lib64"
    until = time.monotonic() + 90
    while time.monotonic() < until and not (half.is_dir() and len(list(half.iterdir())) > 5):
        time.sleep(0.1)
    place.host.power_off_hard()
    assert place.host.root.joinpath("usr/local/cuda-10.0/.iblvideo-admin.json").read_text().count("installing") == 1
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    place.host.boot()
    asked = len(place.makers.server.log)
    place.completes()
    assert [request.path for request in place.makers.server.log[asked:]] == [place.path("10.0", "cudnn")], (
        "what had arrived is used"
    )
    assert place.sh("readlink /usr/local/cuda") == "cuda-9.2\n"


@pytest.mark.parametrize("broken", ["newer-system", "half-way", "unsaid"])
@pytest.mark.parametrize("version", ["10.0", "11.8"])
def test_an_installer_that_does_not_run_here(faulty: Callable[..., Faulty], version: str, broken: Any) -> None:
    place = faulty(cuda_versions=[version])
    place.installer(Behaviour(broken=broken), version)
    if broken == "unsaid":
        place.fails("afterwards it lacks", "not there", "set cuda_install=extract", cuda_install="runfile")
    elif broken == "newer-system":
        place.fails(
            f"CUDA {version} could not be installed into /usr/local/cuda-{version}", "cuda_install is runfile",
            "cuda_install=extract", cuda_install="runfile",
        )  # fmt: skip
        assert place.ls("/usr/local").count(f"cuda-{version}") == 0
    said = place.completes(version=version)
    assert "its contents are taken instead" in said.words
    assert place.run().changes() == []


def test_only_the_contents_are_wanted(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cuda_install="extract")
    place.fails("cuda_install is exrtact; wanted is auto, runfile, extract or apt", cuda_install="exrtact")
    assert "(asked for)" in place.completes().words
    assert place.sh("ls /tmp/cuda_install* 2>/dev/null || :") == "", "the installer ran"


def test_everybodys_link_is_turned_back(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cuda_versions=["10.0", "11.8"])
    place.installer(Behaviour(relinks=True))
    place.installer(Behaviour(relinks=True), "11.8")
    place.sh("mkdir /usr/local/cuda-9.2 && ln -s /usr/local/cuda-9.2 /usr/local/cuda")
    place.completes()
    assert place.sh("readlink /usr/local/cuda") == "/usr/local/cuda-9.2\n"
    assert place.marker("11.8")["state"] == "installed"
    # an installer that turns it and then fails
    place.sh("rm -r /usr/local/cuda-10.0 /usr/local/cuda-11.8 /usr/local/cuda")
    place.installer(Behaviour(relinks=True, broken="half-way"), "11.8")
    place.fails("CUDA 11.8 could not be installed", cuda_install="runfile")
    assert place.ls("/usr/local").count("cuda") == 0, "there was none"


@pytest.mark.parametrize("umask", ["0022", "0077"])
def test_two_versions_beside_somebody_elses(faulty: Callable[..., Faulty], umask: str) -> None:
    place = faulty(cuda_versions=["10.0", "11.8"])
    place.sh(
        f"echo 'Defaults umask={umask}' >/etc/sudoers.d/umask; "
        "mkdir -p /usr/local/cuda-9.2/lib64 && echo 9.2 >/usr/local/cuda-9.2/version.txt && "
        "echo library >/usr/local/cuda-9.2/lib64/libcudart.so.9.2 && ln -s /usr/local/cuda-9.2 /usr/local/cuda && "
        "echo 'export PATH=/usr/local/cuda/bin:$PATH' | tee -a ~root/.bashrc /home/deploy/.bashrc "
        ">/etc/profile.d/cuda.sh && "
        "echo /usr/local/cuda/lib64 >/etc/ld.so.conf.d/cuda.conf"
    )
    before = place.everything(*OTHERS)
    place.completes()
    assert place.everything(*OTHERS) == before
    for version in ("10.0", "11.8"):
        assert place.marker(version)["state"] == "installed"
        root = f"/usr/local/cuda-{version}"
        closed = place.sh(
            f"find {root} ! -type l ! -perm -a+r; find {root} -type d ! -perm -a+x; find {root} ! -user root"
        )
        assert closed == "", "every user reads them, whatever root's umask"
        library = "libcudnn.so.7" if version == "10.0" else "libcudnn.so.8"
        loads = f"import ctypes; print(ctypes.CDLL('{root}/lib64/{library}').cudnnGetVersion())"
        number = "7605" if version == "10.0" else "8600"
        assert place.host.ssh("env", f"LD_LIBRARY_PATH={root}/lib64", "python3", "-c", loads).stdout == f"{number}\n"
    assert place.run().changes() == []
    assert not place.there("/usr/bin", "nvidia-uninstall"), "a driver came along"
    place.uninstall()
    assert place.everything(*OTHERS) == before
    assert [name for name in place.ls("/usr/local") if name.startswith("cuda")] == ["cuda", "cuda-9.2"]
