"""Almost every variable is another: nothing is hard-wired, and TensorFlow's GPU build loads what was installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.hosts import Host
from e2e.provision.makers import Archives, Makers
from e2e.provision.site import Site
from stand_ins import cuda_libraries
from stand_ins.provision import ibl_server
from stand_ins.provision.symbols import wanted

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(2400), pytest.mark.full]

DRIVER = "/srv/driver"
IMPORT = "import tensorflow as tf; print(tf.__version__); print(open('/proc/self/maps').read())"
# The driver's own library, without a driver, and not where the system looks: a server with one and no card is broken.
ENTER = f'LD_LIBRARY_PATH="$LD_LIBRARY_PATH:{DRIVER}" exec python -c "$0"'


def driver_library(host: Host, folder: Path) -> None:
    """TensorFlow's GPU build cannot be imported without it."""
    folder.mkdir()
    made = cuda_libraries.driver(folder, "470.256.02", symbols=wanted()).parent
    shutil.copytree(made, host.root / DRIVER.lstrip("/"), symlinks=True)


def test_another_lab(
    bare: Callable[..., Host], site: Callable[..., Site], makers: Makers, stand_in_archives: Archives, tmp_path: Path
) -> None:
    host = bare()
    host.ssh("sudo", "mkdir", "-p", "/data/mice", "/srv/bin")
    driver_library(host, tmp_path / "driver")
    weights = tmp_path / "weights_v9.9.zip"
    digest = ibl_server.networks(weights)
    for archive in (path for pair in stand_in_archives.values() for path in pair):
        makers.server.publish(f"/mirror/{archive.name}", archive)
    lab = site(
        host,
        toolchain="dlc-tf1-cuda10.0",
        cuda_versions=["11.8", "10.0"],
        cuda_definitions={version: {part: {"sha256": about[part]["sha256"]} for part in about}
                          for version, about in makers.definitions.items()},
        download_url=f"{makers.server.base}/mirror",
        cuda_install="extract",
        cuda_keep_installer=True,
        iblvideo_prefix="/srv/track",
        iblvideo_bin_dir="/srv/bin",
        base_user="tracker",
        base_group="trackers",
        base_group_members=["deploy"],
        base_extra_packages=["python3-venv"],
        base_min_free_gb=1,
        dlc_envs_dir="/srv/environments",
        dlc_env_links=["/home/deploy/dlc here"],
        dlc_activate_script="/srv/bin/enter",
        weights_source=str(weights),
        weights_sha256=digest,
        weights_name="of the lab",
        weights_root="/srv/networks",
        iblvideo_admin_cli_dir="/srv/commands",
        iblvideo_admin_config_file="/etc/track/settings.toml",
        iblvideo_admin_subjects_dir="/data/mice",
        iblvideo_admin_state_dir="/srv/state",
        iblvideo_admin_scratch_dir="/srv/scratch",
        iblvideo_admin_lock_dir="/run/lock/track",
        iblvideo_admin_log_dir="/var/log/track",
        iblvideo_admin_lab="a lab",
        iblvideo_admin_data_repository="a_lab_SR",
        iblvideo_admin_stop_grace_s=5,
        iblvideo_admin_start_held=False,
        iblvideo_admin_settings={"hours": "19:00-07:30"},
    )  # fmt: skip
    first = lab.play().good()
    assert "SKIPPED: no GPU is expected here" in first.words
    assert "SKIPPED: without a driver (libcuda.so.1) TensorFlow cannot even be imported" in first.words
    assert lab.play().good().changes() == []
    for usual in ("opt/iblvideo", "var/lib/iblvideo-admin", "etc/iblvideo-admin", "usr/local/bin/dlc"):
        assert not (host.root / usual).exists(), usual
    assert host.ssh("systemctl", "is-active", "iblvideo-admin").stdout.strip() == "active"
    assert (host.root / "srv/track/downloads" / stand_in_archives["11.8"][0].name).exists()
    assert (host.root / "usr/local/cuda-11.8/lib64/libcudnn.so.8").exists()
    in_force = host.ssh("/srv/bin/iblvideo-admin", "config", "show").stdout
    for value in ("/data/mice", "/srv/state", "a lab", "a_lab_SR", "19:00-07:30"):
        assert value in in_force

    tensorflow_finds_its_libraries(host)
    host.ssh("sudo", "mv", "/usr/local/cuda-10.0/lib64/libcublas.so.10.0", "/srv/")
    failed = host.ssh("/srv/bin/dlc", "sh", "-c", ENTER, IMPORT, check=False)
    assert "libcublas.so.10.0: cannot open shared object file" in failed.stderr
    lab.play("playbooks/verify.yml").failed(f"{host.name}: ", "libcublas.so.10.0 is not found")


def tensorflow_finds_its_libraries(host: Host) -> None:
    """In the provisioned environment, as people enter it."""
    said = host.ssh("/srv/bin/dlc", "sh", "-c", ENTER, IMPORT).stdout
    assert said.startswith("1.13.1\n")
    for name in ("libcudart.so.10.0", "libcublas.so.10.0", "libcusolver.so.10.0", "libcudnn.so.7"):
        paths = {line.split()[-1] for line in said.splitlines() if f"/{name}" in line}
        assert paths and all(path.startswith("/usr/local/cuda-10.0/lib64/") for path in paths), (name, paths)
