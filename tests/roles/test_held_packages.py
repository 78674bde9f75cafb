"""What is held with a driver, and that only what was held here is let go again."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = yaml.safe_load((ROOT / "roles/nvidia_driver/vars/main.yml").read_text())["_nvidia_driver_parts"]
BUILT = ["nvidia-driver-535", "nvidia-dkms-535", "libnvidia-compute-535:amd64"]
READY = ["nvidia-headless-no-dkms-535", "libnvidia-compute-535:amd64", "linux-modules-nvidia-535-generic-hwe-22.04",
         "linux-modules-nvidia-535-6.8.0-40-generic", "linux-objects-nvidia-535-6.8.0-40-generic"]  # fmt: skip
KERNELS = ["linux-image-generic-hwe-22.04", "linux-image-virtual"]
OTHERS = ["linux-generic-hwe-22.04", "linux-headers-generic", "linux-image-6.8.0-40-generic", "bash",
          "linux-image-unsigned-6.8.0-41-generic", "libnvidia-container1"]  # fmt: skip
PROGRAMS = {
    "dpkg-query": "exec cat {folder}/dpkg",
    "apt-mark": """echo "$@" >>{folder}/log
        wanted=$1; [ "$wanted" = hold ] || wanted=install
        shift; for name; do sed -i "s/^$name [a-z]*/$name $wanted/" {folder}/dpkg; done""",
}


class Host:
    """dpkg and apt-mark, and what they know."""

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.module, self.folder, self.record = module, folder, folder / "record"
        for name, script in PROGRAMS.items():
            (folder / name).write_text("#!/bin/sh\n" + script.format(folder=folder))
            (folder / name).chmod(0o755)

    def install(self, *names: str, hold: tuple[str, ...] = ()) -> None:
        lines = [f"{name} {'hold' if name in hold else 'install'} installed x\n" for name in names]
        (self.folder / "dpkg").write_text("".join(lines) + "nvidia-utils-470 deinstall config-files x\n")

    def held(self) -> set[str]:
        lines = (line.split() for line in (self.folder / "dpkg").read_text().splitlines())
        return {words[0] for words in lines if words[1] == "hold"}

    def run(self, state: str, check: bool = False) -> bool:
        given = {"state": state, "parts": PARTS, "record": str(self.record)}
        return bool(self.module.run(given, check)["changed"])


@pytest.fixture
def host(held_packages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Host(held_packages, tmp_path)


def test_all_of_it_or_none(host: Host) -> None:
    host.install(*BUILT, *KERNELS, *OTHERS)
    assert host.run("held", check=True) and host.held() == set() and not host.record.exists()
    assert host.run("held") and host.held() == set(BUILT), "DKMS serves every kernel"
    assert not host.run("held")
    assert host.run("free") and host.held() == set() and not host.record.exists()
    assert not host.run("free")


def test_what_a_person_held_stays_so(host: Host) -> None:
    host.install(*BUILT, *OTHERS, hold=("bash", "nvidia-dkms-535"))
    assert host.run("held") and host.held() == {"bash", *BUILT}
    assert host.run("free") and host.held() == {"bash", "nvidia-dkms-535"}
    host.install(*BUILT, hold=("nvidia-dkms-535",))
    assert not host.run("free") and host.held() == {"nvidia-dkms-535"}


def test_modules_that_come_ready_made_keep_their_kernel(host: Host) -> None:
    host.install(*READY, *KERNELS, *OTHERS)
    assert host.run("held") and host.held() == {*READY, *KERNELS}
    assert not host.run("held")
    host.install(*READY, *BUILT, *KERNELS, *OTHERS, hold=(*READY, *KERNELS))
    assert host.run("held") and host.held() == {*READY, *BUILT}, "DKMS builds for the next one, too"
    assert host.run("free") and host.held() == set()


def test_it_is_let_go_while_it_is_replaced(host: Host) -> None:
    host.install(*BUILT, *KERNELS, "bash", hold=("bash", *KERNELS, *BUILT[:1]))
    assert host.run("loose") and host.held() == {"bash", *KERNELS}
    newer = [name.replace("535", "580") for name in BUILT]
    host.install(*newer, *KERNELS, "bash", hold=("bash", *KERNELS))
    assert host.run("held") and host.held() == {"bash", *KERNELS, *newer}
    assert host.run("free") and host.held() == {"bash", *KERNELS}


def test_a_host_that_dies_in_between_has_it_written_down(host: Host) -> None:
    host.install(*BUILT)
    (host.folder / "apt-mark").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(host.module.subprocess.CalledProcessError):
        host.run("held")
    (host.folder / "apt-mark").write_text("#!/bin/sh\n" + PROGRAMS["apt-mark"].format(folder=host.folder))
    assert host.run("held") and host.run("free") and host.held() == set()


def test_a_host_without_dpkg_has_nothing_to_let_go(host: Host) -> None:
    (host.folder / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    assert not host.run("free")
