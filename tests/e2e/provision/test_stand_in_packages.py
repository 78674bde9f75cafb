"""The package repository: apt takes it as a real one; the drivers, CUDA and Python in it do what theirs do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins.provision.apt_repository import Package, Repository
from stand_ins.provision.cuda_packages import cuda_packages
from stand_ins.provision.cuda_toolkit import CUDA_10_0, CUDA_11_8
from stand_ins.provision.download_server import DownloadServer
from stand_ins.provision.driver_packages import dkms, driver_packages, kernel_headers
from stand_ins.provision.python_packages import python_packages

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("apt-get", "dpkg-deb", "gpg", "cc")),
    reason="SKIPPED: apt, dpkg-deb, gpg and a C compiler are needed",
)


class Apt:
    """apt with a state of its own: nothing is installed yet, and only one source is known."""

    def __init__(self, folder: Path, line: str) -> None:
        for name in ("etc/apt/preferences.d", "etc/apt/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "etc/apt/sources.list").write_text(line)
        places = {"Etc": "etc/apt", "State": "state", "State::status": "status", "Cache": "cache"}
        self._options = [f"-oDir::{key}={folder / place}" for key, place in places.items()]
        self._options += ["-oAPT::Architecture=amd64", "-oAPT::Sandbox::User=root", "-oAcquire::Languages=none"]

    def __call__(self, program: str, *arguments: str) -> str:
        command = ["/usr/bin/env", "LC_ALL=C", program, *self._options, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr + (f"\nFAILED {done.returncode}" if done.returncode else "")

    def installs(self, name: str) -> dict[str, str]:
        """Package -> version, as an installation would take them."""
        lines = [line.split() for line in self("apt-get", "--simulate", "install", name).splitlines()]
        return {words[1]: words[2].strip("(") for words in lines if words[:1] == ["Inst"]}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("repository"))
    for name, version in {
        "nvidia-driver-535": "535.183.01",
        "nvidia-driver-470-server": "470.256.02",
        "nvidia-driver": "535.183.01",
        "nvidia-tesla-470-driver": "470.256.02",
    }.items():
        made.add(*driver_packages(name, version))
    made.add(*driver_packages("cuda-drivers", "550.90.07"), *cuda_packages(CUDA_10_0), *cuda_packages(CUDA_11_8))
    made.add(dkms(), *kernel_headers("6.1.0-18-amd64"), *python_packages())
    made.publish()
    return made


@pytest.fixture(scope="module")
def server(repository: Repository) -> Iterator[DownloadServer]:
    with DownloadServer(repository.folder) as running:
        yield running


@pytest.fixture
def apt(repository: Repository, server: DownloadServer, tmp_path: Path) -> Apt:
    made = Apt(tmp_path, repository.source(server.base, keyring=str(repository.keyring)))
    said = made("apt-get", "update")
    assert "FAILED" not in said and "W:" not in said, said
    return made


def test_drivers_of_two_branches(apt: Apt) -> None:
    found = apt.installs("nvidia-driver-535")
    assert found["libnvidia-compute-535"] == "535.183.01-0ubuntu0.22.04.1"
    assert {"nvidia-dkms-535", "nvidia-utils-535", "nvidia-compute-utils-535", "dkms"} <= set(found)
    assert "libnvidia-compute-470-server" in apt.installs("nvidia-headless-470-server")
    assert "libcuda1" in apt.installs("nvidia-driver")
    assert "libnvidia-tesla-470-ml1" in apt.installs("nvidia-tesla-470-driver")


@pytest.mark.parametrize("version", ["10-0", "11-8"])
def test_the_toolkit_comes_alone_and_cuda_does_not(apt: Apt, version: str) -> None:
    alone = apt.installs(f"cuda-toolkit-{version}")
    assert {f"cuda-cudart-{version}", f"cuda-cupti-{version}", f"cuda-nvcc-{version}"} <= set(alone)
    assert not [name for name in alone if "nvidia" in name or "drivers" in name]
    assert {"cuda-drivers", "nvidia-driver-550", "nvidia-dkms-550"} <= set(apt.installs(f"cuda-{version}"))


def test_the_module_is_there_only_with_headers(tmp_path: Path, apt: Apt, repository: Repository) -> None:
    assert "linux-headers-6.1.0-18-amd64" in apt.installs("linux-headers-amd64")
    for stem in ("dkms_", "nvidia-dkms-535_"):
        [file] = repository.folder.glob(f"{stem}*")
        subprocess.run(["/usr/bin/env", "dpkg-deb", "-x", file, tmp_path / "host"], check=True)

    def dkms(*words: str) -> tuple[int, str]:
        done = subprocess.run([tmp_path / "host/usr/sbin/dkms", *words], capture_output=True, text=True, check=False,
                              env=os.environ | {"STAND_IN_ROOT": str(tmp_path / "host")})  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    code, said = dkms("autoinstall", "-k", "6.1.0-18-amd64")
    assert (code, "Please install the linux-headers-6.1.0-18-amd64 package" in said) == (1, True)
    assert dkms("status") == (0, "nvidia/535.183.01: added\n")
    (tmp_path / "host/lib/modules/6.1.0-18-amd64/build").mkdir(parents=True)
    assert dkms("autoinstall", "-k", "6.1.0-18-amd64")[0] == 0
    assert dkms("status") == (0, "nvidia/535.183.01, 6.1.0-18-amd64, x86_64: installed\n")
    module = tmp_path / "host/lib/modules/6.1.0-18-amd64/updates/dkms/nvidia.ko"
    assert b"\0version=535.183.01\0" in module.read_bytes()
    dkms("remove", "nvidia/535.183.01", "--all")
    assert not module.exists() and dkms("status") == (0, "")


def test_a_newer_version_is_published_later(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", suite="bookworm", origin="Debian", label="Debian")
    repository.add(Package("driver", "1"))
    repository.publish()
    apt = Apt(tmp_path / "apt", repository.source(f"file:{repository.folder}", keyring=str(repository.keyring)))
    apt("apt-get", "update")
    repository.add(Package("driver", "2", ("libdriver",)), Package("libdriver", "2"))
    assert apt.installs("driver") == {"driver": "1"}
    repository.publish()
    apt("apt-get", "update")
    assert apt.installs("driver") == {"driver": "2", "libdriver": "2"}
    assert apt.installs("driver=1") == {"driver": "1"}
    assert "o=Debian,a=bookworm,n=bookworm,l=Debian" in apt("apt-cache", "policy")
    repository.remove("driver", "2")
    repository.publish()
    apt("apt-get", "update")
    assert apt.installs("driver") == {"driver": "1"}


def test_the_key_was_changed(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.add(Package("driver", "1"))
    old = str(repository.keyring)
    repository.rotate_key()
    repository.publish()
    apt = Apt(tmp_path / "apt", repository.source(f"file:{repository.folder}", keyring=old))
    assert "NO_PUBKEY" in apt("apt-get", "update")
    trusting = Apt(tmp_path / "trusting", repository.source(f"file:{repository.folder}", keyring=None))
    assert "FAILED" not in trusting("apt-get", "update")


INSTALL = r"""
set -e
mount -t tmpfs none "$1" && cd "$1" && mkdir upper work host
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work host
mkdir -p host/opt/python3.7/bin && ln -s /bin/echo host/opt/python3.7/bin/python3.7
printf '%s' "$2" >host/etc/apt/sources.list && rm -f host/etc/apt/sources.list.d/*
mkdir -p host/repository && mount --bind "$3" host/repository
mkdir -p host/etc/apt/keyrings && cp "$3/stand-in.gpg" host/etc/apt/keyrings
mount --bind /dev host/dev && mount -t proc proc host/proc
chroot host /bin/sh -ec '
    export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
    apt-get -q update
    apt-get -qy install cuda-toolkit-10-0 nvidia-headless-535 nvidia-utils-535 linux-headers-$(uname -r) python3.7
    nvidia-smi || echo smi $?
    dkms status
    ldconfig -p | grep -E "libcuda.so.1|libnvidia-ml.so.1|libcublas.so.10.0"
    readlink /usr/local/cuda
    /usr/local/cuda-10.0/bin/nvcc --version
    python3.7 -m venv /tmp/x || echo venv $?
    apt-get -qy install python3.7-venv && python3.7 -m venv /tmp/x
    apt-get -qy install nvidia-headless-470-server
    dkms status
    dpkg -l "libnvidia-compute*" | grep ^ii
'
"""


@pytest.mark.full
def test_on_a_host(tmp_path: Path, repository: Repository) -> None:
    """The tests' host with a layer over it that takes all changes, in a namespace of its own."""
    if os.geteuid() or subprocess.run(["/usr/bin/env", "unshare", "-m", "true"], check=False).returncode:
        pytest.skip("SKIPPED: only root may lay one file system over another")
    repository.add(*kernel_headers())
    repository.publish()
    line = repository.source("file:/repository")
    command = ["/usr/bin/env", "unshare", "-m", "/bin/sh", "-c", INSTALL, "sh", tmp_path, line, repository.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said, kernel = done.stdout, os.uname().release
    assert done.returncode == 0, said + done.stderr
    for line in ("smi 9", f"nvidia/535.183.01, {kernel}, x86_64: installed", "cuda-10.0", "venv 1", "-m venv /tmp/x",
                 f"nvidia/470.256.02, {kernel}, x86_64: installed"):  # fmt: skip
        assert line in said.splitlines(), said
    assert "libcublas.so.10.0" in said and "release 10.0, V10.0.130" in said
    assert said.count("535.183.01, ") == 1 and said.splitlines()[-1].startswith("ii  libnvidia-compute-470-server")
