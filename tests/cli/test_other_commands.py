"""queue, status, config, run-job and the top level, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import Lab


def test_queue_of_a_server_without_jobs(lab: Lab) -> None:
    assert lab.run("queue", "list").stdout == "no jobs\n"
    assert lab.json("queue", "list")["data"]["jobs"] == []


def test_queue_list_and_show(lab: Lab) -> None:
    video = lab.video()
    lab.video("right", 6).path.write_bytes(b"")
    lab.run("process", video.session)
    rows = lab.run("queue", "list").stdout.splitlines()
    assert len(rows) == 3 and rows[0].startswith("id")
    assert lab.json("queue", "list", "--status", "Errored")["data"]["jobs"][0]["camera"] == "right"
    assert lab.json("queue", "list", "--camera", "body")["data"]["jobs"][0]["status"] == "Complete"
    shown = lab.json("queue", "show", "1")["data"]
    assert [event["status"] for event in shown["events"]][:2] == ["Waiting", "Started"]
    assert any(path.endswith("result.json") for path in shown["files"])
    assert "video" in lab.run("queue", "show", "1").stdout


def test_hold_and_release_a_job(lab: Lab) -> None:
    video = lab.video()
    lab.json("queue", "hold")
    lab.json("process", video.session)
    assert lab.json("queue", "hold", "1", "--why", "look first")["data"]["job"]["state"]["because"] == "look first"
    lab.json("queue", "release")
    document = lab.json("process", video.session)
    assert document["exit_code"] == 1 and not video.table.exists()
    assert document["data"]["jobs"][0]["status"] == "Held"
    assert lab.json("process")["exit_code"] == 0, "a scan has nothing to say about a job that a person holds"
    assert lab.json("queue", "release", "1")["data"]["job"]["status"] == "Waiting"
    assert lab.json("process")["exit_code"] == 0 and video.table.exists()
    document = lab.json("queue", "release", "1")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "queue.not_possible")


@pytest.mark.parametrize("number", ["99", "x", "-1"])
def test_an_unknown_job(lab: Lab, number: str) -> None:
    document = lab.json("queue", "show", number)
    assert document["exit_code"] == 2
    assert document["errors"][0]["code"] in ("queue.job_unknown", "usage")


def test_status_has_the_keys_of_the_contract(lab: Lab) -> None:
    keys = (
        "host time age_s versions gpus queue running last_complete failures disks service toolchain check outbox "
        "attention"
    )
    assert set(keys.split()) <= lab.json("status")["data"].keys()
    bad = lab.video()
    bad.path.write_bytes(b"x")
    lab.run("process")
    data = lab.json("status")["data"]
    assert data["queue"]["Errored"] == 1
    assert "video.corrupt" in data["attention"][0]
    assert "attention" in lab.run("status").stdout


def test_status_works_on_the_defaults_and_says_so(lab: Lab) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(lab.folder), "PYTHONPATH": lab.environment["PYTHONPATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "iblvideo_admin", "status", "--json"], env=environment, capture_output=True, check=False
    )
    data = json.loads(done.stdout)["data"]
    assert done.returncode == bool(data["attention"]), done.stderr
    if not Path("/etc/iblvideo-admin/config.toml").exists():
        assert data["settings_from"] == ["defaults"]


def test_config_show_and_path(lab: Lab) -> None:
    shown = lab.json("config", "show")["data"]
    assert shown["settings"]["subjects_dir"] == str(lab.subjects)
    assert "IBLVIDEO_ADMIN_SUBJECTS_DIR" in shown["sources"]
    assert len(lab.json("config", "path")["data"]["files"]) == 2
    document = lab.json("config", "show", IBLVIDEO_ADMIN_STATE_DIR="relative")
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "settings.invalid")


def test_a_state_folder_that_cannot_be_used(lab: Lab) -> None:
    (lab.folder / "state").write_text("a file")
    document = lab.json("queue", "list")
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "state.not_usable")


def test_run_job_of_a_folder_that_is_no_job(lab: Lab) -> None:
    document = lab.json("run-job", lab.folder)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "queue.job_unknown")


def test_run_job_by_hand_follows_the_contract(lab: Lab) -> None:
    video = lab.video()
    lab.json("queue", "hold")
    lab.json("process", video.session)
    folder = lab.folder / "state/jobs/000001"
    assert lab.json("run-job", folder, STAND_IN="crash")["exit_code"] == 75
    assert lab.json("run-job", folder)["exit_code"] == 0
    video.table.unlink()
    video.path.write_bytes(b"text")
    assert lab.json("run-job", folder)["exit_code"] == 1


def test_a_killed_worker_loses_nothing(lab: Lab) -> None:
    """After kill -9 of `process`: its child ends the job, and the next `process` enters that."""
    video = lab.video(frames=8)
    with lab.start("process", video.session) as process:
        lock = lab.folder / "state/jobs/000001/lock"
        deadline = time.monotonic() + 30
        while not lock.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    document = lab.json("process")
    assert document["exit_code"] == 0, document
    assert lab.json("queue", "list")["data"]["counts"]["Complete"] == 1
    assert video.table.exists()


def test_two_at_once_do_not_track_a_video_twice(lab: Lab) -> None:
    videos = [lab.video(session=lab.session(name)) for name in "AB"]
    processes = [lab.start("process", "--json") for _ in range(2)]
    documents = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [document["exit_code"] for document in documents] == [0, 0], documents
    assert all(video.table.exists() for video in videos)
    for number in (1, 2):
        events = [event["status"] for event in lab.json("queue", "show", str(number))["data"]["events"]]
        assert events == ["Waiting", "Started", "Complete"]


def test_help_and_version(lab: Lab) -> None:
    assert lab.run("--version").stdout.startswith("iblvideo-admin ")
    assert "check-gpu" in lab.run("--help").stdout
    for arguments in ([], ["queue"], ["nonsense"], ["queue", "nonsense"]):
        assert lab.run(*arguments).returncode == 2
    assert lab.json("queue", "nonsense")["errors"][0]["code"] == "usage"
    assert lab.json()["errors"][0]["code"] == "usage"


def test_start_up_imports_nothing_heavy(lab: Lab) -> None:
    """And neither people nor workers wait for what only a job's own process needs."""
    code = (
        "import sys; from iblvideo_admin.cli import main; main(['--version']);"
        "heavy = ['av', 'numpy', 'pandas', 'pyarrow', 'one'];"
        "print('heavy', [m for m in (*heavy, 'pynvml', 'yaml') if m in sys.modules]);"
        "[main(words.split()) for words in ('queue hold', 'status', 'process')];"
        "print('heavy', [m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=lab.environment, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("heavy")] == ["heavy []"] * 2


def test_a_configuration_to_begin_with(lab: Lab) -> None:
    """Written once, and never over what somebody wrote."""
    file = lab.folder / "home/.config/iblvideo-admin/config.toml"
    assert lab.json("config", "init")["data"] == {"file": str(file)}
    assert lab.json("config", "show")["exit_code"] == 0
    file.write_text('lab = "mine"\n')
    document = lab.json("config", "init")
    assert document["exit_code"] == 2 and "is there already" in document["errors"][0]["message"]
    assert file.read_text() == 'lab = "mine"\n'
