"""What goes wrong on the way to CUDA and cuDNN: one sentence that helps, and a run that completes once it is mended."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.hosts import Host
from e2e.provision.faulty import Faulty
from e2e.provision.makers import Makers
from e2e.provision.site import Site
from stand_ins.provision import cudnn_archive, download_server, ibl_server
from stand_ins.provision.apt_repository import Package, Repository
from stand_ins.provision.cuda_packages import cuda_packages
from stand_ins.provision.cuda_runfile import Behaviour
from stand_ins.provision.driver_packages import dkms, driver_packages

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]
full = pytest.mark.full

WRONG = "wrong one"
OTHERS = ("/usr/local/cuda", "/usr/local/cuda-9.2", "/etc/ld.so.conf.d", "/etc/profile", "/etc/profile.d",
          "/etc/bash.bashrc", "/etc/apt", "/etc/environment", "/root", "/home")  # fmt: skip


def test_two_faults_are_named_and_mended(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cuda_verisons=["10.0"])
    place.fails("cuda_verisons is no variable of these roles: did you mean cuda_versions? Change the inventory.")
    del place.site.variables["cuda_verisons"]
    wrong = {
        "10.0": {
            **place.makers.definitions["10.0"],
            "cuda": {**place.makers.definitions["10.0"]["cuda"], "sha256": "0" * 64},
        }
    }
    place.site.change(cuda_definitions=wrong)
    place.fails("CUDA 10.0 could not be fetched from", f"wanted is {'0' * 64}", "cuda_definitions['10.0'].cuda")
    assert place.ls("/usr/local/cuda-10.0") == [] and place.ls("/opt/iblvideo/downloads") == []
    place.site.change(cuda_definitions=place.makers.definitions)
    place.completes()
    print(place.seconds)


@full
def test_another_cudnn_than_was_wanted(faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    place = faulty()
    other = cudnn_archive.make(tmp_path / "other", header="7.4.2")
    definitions = {"10.0": {**place.makers.definitions["10.0"]}}
    definitions["10.0"]["cudnn"] = {**definitions["10.0"]["cudnn"], "sha256": "1" * 64}
    place.fails(
        "cuDNN 7.6.5.32 could not be fetched from", f"wanted is {'1' * 64}", "cudnn_url", cuda_definitions=definitions
    )
    # the checksum is right, and the archive holds another version all the same
    place.makers.server.publish(place.path("10.0", "cudnn"), other)
    definitions["10.0"]["cudnn"]["sha256"] = hashlib.sha256(other.read_bytes()).hexdigest()
    place.fails(
        "cuDNN in /usr/local/cuda-10.0 is not 7605: its header says 7402, its library 7605. Remove include/cudnn*.h",
        cuda_definitions=definitions,
    )
    place.makers.server.publish(place.path("10.0", "cudnn"), place.makers.server.file(ibl_server.CUDNN))
    place.completes()
    assert place.run().counts(place.host)["changed"] == 0


@full
def test_a_connection_that_is_cut(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    server, path = place.makers.server, place.path("10.0", "cuda")
    server.faults[path] = download_server.cut(1000)
    place.fails(
        "CUDA 10.0 could not be fetched from", "the connection was lost after 4000 of", "Run the playbook again"
    )
    server.faults[path] = download_server.cut(10_000, times=2)
    place.completes()
    assert [request.range for request in server.asked(path)][4:] == ["bytes=4000-", "bytes=14000-", "bytes=24000-"]


@full
def test_what_a_server_answers(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    server, path = place.makers.server, place.path("10.0", "cuda")
    server.faults[path] = download_server.missing()
    place.fails(
        "CUDA 10.0 could not be fetched from", path, "the server answered 404.", "cuda_definitions['10.0'].cuda.url"
    )
    assert len(server.asked(path)) == 1
    server.faults[path] = download_server.unavailable()
    place.fails("the server answered 503.", "Run the playbook again when the server answers")
    server.faults[path] = download_server.html()
    place.fails("it is a web page", "cuda_definitions['10.0'].cuda.url")
    server.faults[path] = download_server.unavailable(times=2)
    place.completes()
    assert [request.status for request in server.asked(path)][-3:] == [503, 503, 200]


@full
def test_the_login_of_the_ibls_server(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cudnn_from="ibl")
    server = place.makers.server
    place.site.change(data_server_url=server.base + "/")
    place.fails("cudnn_from is ibl", "data_server_user is empty", "ansible-vault create", "cudnn_from=nvidia")
    place.site.change(data_server_user=ibl_server.USER)
    place.fails("cudnn_from is ibl", "data_server_password is empty")
    place.site.change(data_server_password=WRONG)
    said = place.fails(
        "cuDNN 7.6.5.32 could not be fetched from", "the server answered 401.",
        f"data_server_user is {ibl_server.USER}", "Set data_server_user and data_server_password (in a vault)",
    )  # fmt: skip
    assert WRONG not in said.text
    place.site.change(data_server_password=ibl_server.PASSWORD)
    place.completes()
    assert [(request.status, request.user) for request in server.asked(ibl_server.CUDNN)] == [
        (401, ibl_server.USER),
        (200, ibl_server.USER),
    ]
    others = [request for request in server.log if not request.path.startswith("/resources/")]
    assert others and all(request.user is None for request in others), "the login went to others"
    place.fails("cudnn_from is elsewhere; wanted is nvidia or ibl", cudnn_from="elsewhere")


@full
def test_no_room_for_downloads(faulty: Callable[..., Faulty]) -> None:
    place = faulty()
    place.sh("mkdir /opt/iblvideo && mount -t tmpfs -o size=16k,mode=755 small /opt/iblvideo")
    place.fails(
        "/opt/iblvideo would have 0.0 GB free, base_min_free_gb wants 10",
        "set iblvideo_prefix to a folder on a larger disk",
    )
    place.fails(
        "CUDA 10.0 could not be fetched from", "No space left on device",
        "Make room on the disk of /opt/iblvideo/downloads", base_min_free_gb=0,
    )  # fmt: skip
    assert place.ls("/opt/iblvideo/downloads") == [] and place.ls("/usr/local/cuda-10.0") == []
    place.sh("mount -o remount,size=64k /opt/iblvideo")
    place.fails(
        "CUDA 10.0 could not be installed into /usr/local/cuda-10.0", "No space left on device",
        "Make room on the disks of /usr/local/cuda-10.0 and /opt/iblvideo/downloads", base_min_free_gb=0,
    )  # fmt: skip
    assert place.ls("/opt/iblvideo/downloads") == [] and not place.there("/usr/local", "cuda-10.0")
    place.sh("mount -o remount,size=500m /opt/iblvideo")
    place.completes(base_min_free_gb=0.1)


@full
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


@full
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


@full
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
    assert place.run().counts(place.host)["changed"] == 0


@full
def test_only_the_contents_are_wanted(faulty: Callable[..., Faulty]) -> None:
    place = faulty(cuda_install="extract")
    place.fails("cuda_install is exrtact; wanted is auto, runfile, extract or apt", cuda_install="exrtact")
    assert "(asked for)" in place.completes().words
    assert place.sh("ls /tmp/cuda_install* 2>/dev/null || :") == "", "the installer ran"


@full
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


@pytest.fixture
def packages(makers: Makers, tmp_path: Path) -> Repository:
    """A repository of NVIDIA's at the makers' server, not yet published."""
    repository = Repository(tmp_path / "repository")
    makers.server.folder = repository.folder
    return repository


@full
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
    assert place.run().counts(place.host)["changed"] == 0
    place.uninstall()
    assert place.ls("/usr/local").count("cuda-10.0") == 0
    assert place.sh("dpkg -l | diff /srv/before - | grep cuda || :") == "", "packages without their files would be left"
    place.completes()


@full
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


@full
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
    assert place.run(*tags).good().counts(host)["changed"] == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other/MANIFEST.json").write_text('{"files": {}}')
    place.fails("which has no packages/Debian-12: make it with", tags=tags, mirror_dir=str(tmp_path / "other"),
                base_extra_packages=["no-such-package"], iblvideo_prefix="/opt/other")  # fmt: skip


@full
def test_words_of_the_inventory(faulty: Callable[..., Faulty]) -> None:
    place = faulty(weights_remote_src=True)
    place.fails("weights_remote_src is called weights_on_host now. Change the inventory.")
    place.fails(
        "cuda_verisons",
        "did you mean cuda_versions?",
        "weights_remote_src is called weights_on_host now",
        cuda_verisons=[],
    )
    del place.site.variables["weights_remote_src"]
    place.site.change()
    place.fails("cuda_versions names 9.9; known are 10.0, 11.8.", "cuda_definitions", cuda_versions=["10.0", "9.9"])
    place.fails("cuda_versions names 9.9; known are 10.0, 11.8.", cuda_versions="9.9")
    half = {"12.4": {"cuda": {"root": "/usr/local/cuda-12.4", "url": "http://x"}}}
    place.fails(
        "cuda_definitions['12.4'].cuda lacks release, file, sha256", cuda_versions=["12.4"], cuda_definitions=half
    )
    place.fails(
        "one_alyx_login is lab_server, but one_alyx_password is empty: put it into a vault",
        tags=("--tags", "base,one"), one_alyx_login="lab_server",
    )  # fmt: skip
    place.fails(
        "one_alyx_url is alyx.example.org; wanted is an address",
        tags=("--tags", "base,one"), one_alyx_login="lab_server", one_alyx_password=WRONG,
        one_alyx_url="alyx.example.org",
    )  # fmt: skip
    place.completes(cuda_versions="10.0")
    print(place.seconds)


@full
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
    assert place.run().counts(place.host)["changed"] == 0
    assert not place.there("/usr/bin", "nvidia-uninstall"), "a driver came along"
    place.uninstall()
    assert place.everything(*OTHERS) == before
    assert [name for name in place.ls("/usr/local") if name.startswith("cuda")] == ["cuda", "cuda-9.2"]
