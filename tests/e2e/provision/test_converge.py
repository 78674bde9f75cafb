"""A bare server becomes one that tracks, a second run changes nothing, and the service does its work.

One host goes through it all: the tests are the stations of its way, in their order.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.provision.converged import ALYX_PASSWORD, BACKLOG, OTHERS, Converged, drop, told, wait_for
from e2e.provision.listing import listing
from e2e.provision.makers import SESSIONS
from stand_ins.provision import ibl_server

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1800)]

NEW = "KS001/2026-01-16/001"
SECURITY = 4.0


def test_check_mode_passes_on_a_bare_host_and_changes_nothing(converged: Converged) -> None:
    converged.check.good()
    assert converged.check.counts(converged.host)["changed"] > 10
    assert converged.made_by_check == {}


def test_the_first_run_makes_it_track(converged: Converged) -> None:
    converged.first.good()
    assert "pass: 30 frames" in converged.first.words
    assert told(converged.host, "check-gpu")["data"]["verdict"] == "pass"


def test_what_is_others_was_not_touched(converged: Converged) -> None:
    assert listing(converged.host.root, OTHERS) == converged.bare


def test_below_usr_local_it_made_what_it_says_and_nothing_else(converged: Converged) -> None:
    before = {name: look for name, look in converged.before.items() if name.startswith("usr/local")}
    now = listing(converged.host.root, ["usr/local"])
    assert {name: now.get(name) for name in before} == before
    ours = ("usr/local/cuda-10.0", "usr/local/bin/dlc", "usr/local/bin/iblvideo-admin")
    others = {name for name in now.keys() - before.keys() if not name.startswith(ours)}
    assert others == {"usr/local/share/fonts"}, "which the package fontconfig-config makes, that comes with ffmpeg"


def test_a_second_run_changes_nothing(converged: Converged) -> None:
    second = converged.site.play().good()
    print(f"no-change run {second.seconds:.0f} s")
    assert second.changes() == []


def test_cuda_and_cudnn_lie_where_they_should(converged: Converged) -> None:
    root = converged.host.root / "usr/local/cuda-10.0"
    assert json.loads((root / ".iblvideo-admin.json").read_text())["state"] == "installed"
    assert (root / "lib64/libcudnn.so.7").is_symlink() and (root / "include/cudnn.h").stat().st_mode & 0o444 == 0o444
    assert not (converged.host.root / "usr/bin/nvidia-uninstall").exists(), "the installer's driver came along"


def test_secrets_are_the_services_alone(converged: Converged) -> None:
    host = converged.host
    home = host.root / "var/lib/iblvideo-admin/.one"
    assert home.stat().st_mode & 0o7777 == 0o700
    assert {path.stat().st_mode & 0o7777 for path in home.iterdir()} == {0o600}
    said = host.ssh("sudo", "grep", "-rlF", ALYX_PASSWORD, "/etc", "/opt/iblvideo/bin", "/var/lib", check=False).stdout
    assert [line for line in said.splitlines() if "/.one/" not in line] == []
    for secret in (ALYX_PASSWORD, ibl_server.PASSWORD):
        assert secret not in converged.first.text + converged.check.text


def test_people_enter_the_environment_by_their_habits(converged: Converged) -> None:
    host = converged.host
    link = host.ssh("readlink", "-f", "/home/deploy/Documents/PYTHON/envs/dlc").stdout.strip()
    assert host.ssh("dlc", "python", "-c", "import sys; print(sys.prefix)").stdout.strip().endswith(Path(link).name)
    made = [f"/home/deploy/Documents{part}" for part in ("", "/PYTHON", "/PYTHON/envs")]
    assert set(host.ssh("stat", "-c", "%U:%G", *made).stdout.split()) == {"deploy:deploy"}, "they are that person's"
    completion = "/usr/share/bash-completion/completions/iblvideo-admin"
    assert host.ssh("bash", "-c", f". {completion} && complete -p iblvideo-admin").stdout
    host.ssh("sudo", "logrotate", "--debug", "/etc/logrotate.d/iblvideo-admin")


def test_metrics_are_written_for_the_node_exporter(converged: Converged) -> None:
    said = converged.host.ssh("cat", "/var/lib/prometheus/node-exporter/iblvideo_admin.prom").stdout
    assert 'iblvideo_check_verdict{verdict="pass"} ' in said and "iblvideo_snapshot_timestamp_seconds" in said
    assert converged.host.ssh("systemctl", "is-active", "iblvideo-admin-metrics.timer").stdout == "active\n"


def test_the_service_is_closed_in(converged: Converged) -> None:
    done = converged.host.ssh("systemd-analyze", "security", "--no-pager", "iblvideo-admin.service", check=False)
    line = next(line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    exposure = float(line.split(":")[1].split()[0])
    print(f"exposure {exposure}")
    assert exposure <= SECURITY
    assert "DeviceAllow=char-nvidia rw" in converged.host.ssh("systemctl", "cat", "iblvideo-admin").stdout


def test_the_service_waits_before_a_backlog_then_works(converged: Converged, recording: Path) -> None:
    host = converged.host
    assert told(host, "status")["data"]["held"], "a first start on a backlog is held"
    assert not (host.root / f"{SESSIONS}/{BACKLOG}/alf".lstrip("/")).exists()
    assert told(host, "queue", "release")["exit_code"] == 0
    wait_for(host, BACKLOG)
    drop(host, recording, NEW)
    host.reboot()
    wait_for(host, NEW)
    host.ssh("sudo", "systemctl", "stop", "iblvideo-admin")
    assert host.ssh("systemctl", "show", "-p", "Result", "--value", "iblvideo-admin").stdout.strip() == "success"
    assert told(host, "queue", "list")["data"]["jobs"][0]["status"] == "Complete"


def test_a_damaged_toolkit_is_named_and_made_whole(converged: Converged) -> None:
    """Two faults: what was lost is named with its remedy, and following it leads back."""
    host, site = converged.host, converged.site
    host.ssh("sudo", "rm", "/usr/local/cuda-10.0/lib64/libcublas.so.10.0")
    said = site.play("site.yml", "--tags", "base,cuda,cudnn")
    said.failed(
        "/usr/local/cuda-10.0 lacks lib64/libcublas.so.10.0: not there", "Remove the folder and run the playbook again"
    )
    host.ssh("sudo", "rm", "-r", "/usr/local/cuda-10.0")
    wrong = {**site.variables, "data_server_password": "wrong"}
    site.play("site.yml", "--tags", "base,cuda,cudnn", data_server_password=wrong["data_server_password"]).failed(
        "cuDNN 7.6.5.32 could not be fetched from",
        "the server answered 401",
        "Set data_server_user and data_server_password",
    )
    site.play("site.yml", "--tags", "base,cuda,cudnn").good()
