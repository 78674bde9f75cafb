"""CUDA as a package, which must bring no driver; and packages of a mirror folder that arrive half."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.hosts import Host
from e2e.provision.faulty import MARKER, Faulty
from e2e.provision.makers import Makers
from e2e.provision.site import Site
from stand_ins.provision.apt_repository import Package, Repository
from stand_ins.provision.cuda_packages import cuda_packages
from stand_ins.provision.driver_packages import dkms, driver_packages

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]


@pytest.fixture
def packages(makers: Makers, tmp_path: Path) -> Repository:
    """A repository of NVIDIA's at the makers' server, not yet published."""
    repository = Repository(tmp_path / "repository")
    makers.server.folder = repository.folder
    return repository


def test_a_package_that_brings_no_driver(faulty: Callable[..., Faulty], packages: Repository) -> None:
    place = faulty(cuda_install="apt")
    place.sh("rm /etc/apt/sources.list.d/*")
    place.fails("cuda_install is apt", "no repository of this host has cuda-toolkit-10-0", "set cuda_install=auto")
    packages.add(*cuda_packages())
    packages.publish()
    source = packages.source(place.makers.server.base, keyring=None)
    (place.host.root / "etc/apt/sources.list.d/nvidia.list").write_text(source)
    place.sh("mkdir /usr/local/cuda-9.2 && ln -s cuda-9.2 /usr/local/cuda && dpkg -l >/srv/before")
    place.sh("touch -d 2000-01-01 /var/lib/apt/lists")
    place.completes()
    assert place.sh("readlink /usr/local/cuda") == "cuda-9.2\n", "the package's script turned it"
    assert place.run().changes() == []
    # a host that died when apt was done: there is nothing left that apt would name
    begun = {**place.marker(), "state": "installing", "link": "cuda-9.2"}
    (place.host.root / f"usr/local/cuda-10.0/{MARKER}").write_text(json.dumps(begun))
    place.completes()
    assert place.marker()["packages"] == begun["packages"]
    place.uninstall()
    assert place.ls("/usr/local").count("cuda-10.0") == 0
    assert place.sh("dpkg -l | diff /srv/before - | grep cuda || :") == "", "packages without their files would be left"
    place.completes()


def test_a_package_that_would_bring_a_driver(faulty: Callable[..., Faulty], packages: Repository) -> None:
    place = faulty(cuda_install="apt")
    place.sh("rm /etc/apt/sources.list.d/*")
    kept = [package for package in cuda_packages() if package.name != "cuda-toolkit-10-0"]
    packages.add(*kept, dkms(), *driver_packages("cuda-drivers", "550.90.07"))
    source = packages.source(place.makers.server.base, keyring=None)
    (place.host.root / "etc/apt/sources.list.d/nvidia.list").write_text(source)
    for needs, said in (
        ("cuda-drivers", "would bring libnvidia-compute-550, nvidia-dkms-550"),
        ("libnvidia-compute-550", "would bring libnvidia-compute-550: set"),
        ("nothing-that-is-there", "cannot be installed ("),
    ):
        packages.remove("cuda-toolkit-10-0")
        packages.add(Package("cuda-toolkit-10-0", "10.0.130-1", (needs,)))
        packages.publish()
        place.sh("touch -d 2000-01-01 /var/lib/apt/lists")
        place.fails(f"cuda_install is apt, but cuda-toolkit-10-0 {said}", "set cuda_install=auto")
    assert place.ls("/usr/local").count("cuda-10.0") == 0
    place.completes(cuda_install="auto")


def test_a_mirror_that_arrives_half(
    bare: Callable[..., Host], site: Callable[..., Site], makers: Makers, debs: list[Path], tmp_path: Path
) -> None:
    """System packages from the mirror folder: what did not fit is not taken for the whole."""
    mirror = tmp_path / "mirror"
    repository = Repository(mirror / "packages/Debian-12", signed=False)
    repository.add(*(Package(deb.name.split("_")[0], "99:1", files={"/usr/share/x": "x" * 50_000}) for deb in debs[:1]))
    repository.add(*(Package(deb.name.split("_")[0], "99:1") for deb in debs[1:]))
    repository.publish()
    (mirror / "MANIFEST.json").write_text('{"files": {}}')
    host = bare(egress="none")
    place = Faulty(host, site(host, mirror_dir=str(mirror), base_min_free_gb=0), makers)
    place.sh("mkdir /opt/iblvideo && mount -t tmpfs -o size=8k,mode=755 small /opt/iblvideo")
    tags = ("--tags", "base")
    place.fails(
        f"packages/Debian-12 of mirror_dir ({mirror}) could not be brought to /opt/iblvideo/mirror: ",
        ": No space left on device. Make room there", tags=tags,
    )  # fmt: skip
    assert place.ls("/opt/iblvideo/mirror") == []
    place.sh("mount -o remount,size=10m /opt/iblvideo")
    place.run(*tags).good()
    assert place.sh("dpkg-query --show --showformat '${Version}' ffmpeg") == "99:1"
    assert place.run(*tags).good().changes() == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other/MANIFEST.json").write_text('{"files": {}}')
    place.fails("which has no packages/Debian-12: make it with", tags=tags, mirror_dir=str(tmp_path / "other"),
                base_extra_packages=["no-such-package"], iblvideo_prefix="/opt/other")  # fmt: skip
