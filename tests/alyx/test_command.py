"""``process --source alyx`` as it is typed, and as the service: whatever Alyx does, and whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alyx_lab import AlyxLab
from lab import statuses, until

from iblvideo_admin.queue.slots import has_worker

ALYX = ("process", "--source", "alyx")


@contextmanager
def serving(lab: AlyxLab, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The service; it must end by itself on SIGTERM, and say nothing strange."""
    environment = {"IBLVIDEO_ADMIN_SCAN_EVERY_S": "0.3", "IBLVIDEO_ADMIN_START_HELD": "false", **environment}
    with lab.start(*ALYX, "--watch", "--json", **environment) as process:
        try:
            until(lambda: has_worker(lab.folder / "state", "cpu"))
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, out + err


@pytest.mark.full
def test_alyx_gone_in_the_middle_of_a_job_and_back_after_it(alyx_lab: AlyxLab) -> None:
    """The tracking goes on, what is to be told waits, `status` shows it, and all is told when Alyx is back."""
    _, (_, task, child) = alyx_lab.mouse("KS001", "body", frames=20)
    world, faults = alyx_lab.world, alyx_lab.server.faults
    with serving(alyx_lab):
        until(lambda: statuses(alyx_lab) in (["Waiting"], ["Started"]))
        faults.down = True
        until(lambda: statuses(alyx_lab) == ["Complete"])
        until(lambda: alyx_lab.json("status")["data"]["outbox"]["waiting"] == 3)
        status = alyx_lab.json("status")["data"]
        assert status["outbox"]["problem"] and any("Alyx: " in text for text in status["attention"])
        assert "3 wait: " in alyx_lab.run("status").stdout
        assert world.status(task) == "Started" and not world.registered()
        faults.down = False
        until(lambda: world.status(child) == "Waiting")
        until(lambda: alyx_lab.json("status")["data"]["outbox"]["waiting"] == 0)
    assert world.status(task) == "Complete" and len(world.registered()) == 1


@pytest.mark.full
def test_an_alyx_that_hangs_stops_no_job_and_no_watchdog(alyx_lab: AlyxLab) -> None:
    alyx_lab.mouse("KS001", "body")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(alyx_lab.folder / "notify"))
        listening.settimeout(0.1)
        with serving(alyx_lab, NOTIFY_SOCKET=listening.getsockname(), WATCHDOG_USEC="2000000"):
            until(lambda: statuses(alyx_lab) in (["Waiting"], ["Started"]))
            alyx_lab.server.faults.add("hang", times=1000)
            until(lambda: statuses(alyx_lab) == ["Complete"])
            beats, end = 0, time.monotonic() + 4
            while time.monotonic() < end:
                try:
                    beats += b"WATCHDOG=1" in listening.recv(4096)
                except TimeoutError:
                    continue
            assert beats >= 3


def test_where_alyx_is_away_the_command_says_so(alyx_lab: AlyxLab) -> None:
    alyx_lab.mouse("KS001", "body")
    alyx_lab.server.faults.down = True
    document = alyx_lab.json(*ALYX)
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "alyx.not_reachable")
    alyx_lab.server.faults.down = False
    alyx_lab.server.faults.add("close", "register-file|GET /datasets", times=1000)
    document = alyx_lab.json(*ALYX)
    assert document["exit_code"] == 1 and document["data"]["outbox"] == 3
    assert [error["code"] for error in document["errors"]] == ["alyx.not_reachable"]
    assert document["data"]["jobs"][0]["status"] == "Complete"
    alyx_lab.server.faults.clear()
    assert alyx_lab.json(*ALYX)["data"]["outbox"] == 0
    assert len(alyx_lab.world.registered()) == 1


@pytest.mark.parametrize(
    "when", ["register", *(pytest.param(when, marks=pytest.mark.full) for when in ("job", "registered", "status"))]
)
def test_killed_and_started_again(alyx_lab: AlyxLab, when: str) -> None:
    """SIGKILL while a job runs, before and after a registration, and after the end status."""
    _, (_, task, child) = alyx_lab.mouse("KS001", "body", frames=30)
    faults = alyx_lab.server.faults
    where = {"register": "POST /register-file", "registered": "POST /register-file", "status": "PATCH /tasks"}
    with serving(alyx_lab) as process:
        faults.kill = process.kill
        if when == "job":
            until(lambda: statuses(alyx_lab) == ["Started"])
            process.kill()
        else:
            faults.add("kill", where[when], after=when != "register", skip=when == "status")
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    document = alyx_lab.json(*ALYX)
    assert document["exit_code"] == 0, document
    world = alyx_lab.world
    assert (world.status(task), world.status(child)) == ("Complete", "Waiting")
    assert len(world.registered()) == 1 == len(alyx_lab.tables())
    assert world.seen(task) == ["Started", "Complete"]


@pytest.mark.full
def test_nothing_anywhere_holds_a_secret(alyx_lab: AlyxLab) -> None:
    """Logs, job folders, the ledger, tables, what is printed, arguments of processes."""
    alyx_lab.mouse("KS001", "body")
    process = alyx_lab.start(*ALYX)
    words = b""
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words += (folder / "cmdline").read_bytes()
                if str(alyx_lab.folder).encode() in (environment := (folder / "environ").read_bytes()):
                    words += environment
            except OSError:
                continue
        time.sleep(0.1)
    out, err = process.communicate()
    assert process.returncode == 0, err
    secrets = [*alyx_lab.world.users.values(), *alyx_lab.world.tokens, "secret-password-3"]
    assert alyx_lab.world.tokens
    for secret in map(str.encode, secrets):
        if secret == b"international":
            continue
        assert secret not in words + out.encode() + err.encode()
        for folder in (alyx_lab.folder / "state", alyx_lab.subjects, alyx_lab.folder / "scratch"):
            for path in folder.rglob("*"):
                assert not path.is_file() or secret not in path.read_bytes(), path
    assert sorted(path.name for path in (alyx_lab.folder / "home").rglob("*") if path.is_file()) == sorted(
        path.name for path in alyx_lab.one.iterdir()
    )


def test_a_wrong_password_is_no_prompt(alyx_lab: AlyxLab) -> None:
    alyx_lab.world.users["dlc_server"] = "another"
    document = alyx_lab.json(*ALYX)
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "alyx.login")


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"IBLVIDEO_ADMIN_DATA_REPOSITORY": ""}, "alyx.not_configured"),
        ({"IBLVIDEO_ADMIN_ALYX_URL": "http://elsewhere.example"}, "alyx.not_configured"),
        ({"IBLVIDEO_ADMIN_DLC_TASKS": "ibllib"}, "alyx.not_ours"),
        ({"HOME": "/dev/null"}, "alyx.not_configured"),
    ],
)
def test_what_is_not_set_up_is_a_sentence(alyx_lab: AlyxLab, environment: dict[str, str], code: str) -> None:
    for more in ([], ["--watch"], ["--dry-run"]) if code != "alyx.not_ours" else ([],):
        document = alyx_lab.json(*ALYX, *more, **environment)
        assert (document["exit_code"], document["errors"][0]["code"]) == (3, code)


@pytest.mark.parametrize("more", [["x"], ["--camera", "left"], ["--overwrite", "x"], ["--engine", "tensorflow1"]])
def test_what_does_not_go_with_it(alyx_lab: AlyxLab, more: list[str]) -> None:
    document = alyx_lab.json(*ALYX, *more)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "usage")


def test_a_dry_run_changes_nothing(alyx_lab: AlyxLab) -> None:
    _, (_, task, _) = alyx_lab.mouse("KS001", "body")
    document = alyx_lab.json(*ALYX, "--dry-run")
    (told,) = document["data"]["tasks"]
    assert (told["id"], told["path"]) == (task, str(alyx_lab.subjects / "KS001/2026-01-10/001"))
    assert task in alyx_lab.run(*ALYX, "--dry-run").stdout
    assert alyx_lab.world.status(task) == "Waiting" and not (alyx_lab.folder / "state").exists()


def test_since(alyx_lab: AlyxLab) -> None:
    old = alyx_lab.mouse("KS001", "body")[1][1]
    document = alyx_lab.json(*ALYX, "--since", "2026-02-01")
    assert document["exit_code"] == 0 and alyx_lab.world.status(old) == "Waiting"


@pytest.mark.full
def test_status_warns_where_ibllib_takes_tasks_too(alyx_lab: AlyxLab) -> None:
    _, (_, theirs, _) = alyx_lab.mouse("KS001", "body")
    alyx_lab.world.set_status(theirs, "Started")
    assert alyx_lab.json(*ALYX)["exit_code"] == 0
    status = alyx_lab.json("status")["data"]
    assert status["outbox"]["foreign"] == [theirs]
    assert any("dlc_tasks" in text for text in status["attention"])
    quiet = alyx_lab.json("status", IBLVIDEO_ADMIN_DLC_TASKS="ibllib")["data"]
    assert not any("dlc_tasks" in text for text in quiet["attention"])


@pytest.mark.full
def test_a_first_service_with_tasks_is_held_until_somebody_looked(alyx_lab: AlyxLab) -> None:
    _, (_, task, _) = alyx_lab.mouse("KS001", "body")
    with serving(alyx_lab, IBLVIDEO_ADMIN_START_HELD="true"):
        until(lambda: "first start with 1 tasks" in str(held(alyx_lab)))
        time.sleep(1)
        assert alyx_lab.world.status(task) == "Waiting"
        alyx_lab.json("queue", "release")
        until(lambda: alyx_lab.world.status(task) == "Complete")


def held(lab: AlyxLab) -> str | None:
    path = lab.folder / "state/ledger.sqlite"
    if not path.exists():
        return None
    with sqlite3.connect(path) as db:
        try:
            return str(db.execute("SELECT why FROM queue WHERE held").fetchone())
        except sqlite3.OperationalError:
            return None


@pytest.mark.full
def test_an_interruption_is_one_document(alyx_lab: AlyxLab) -> None:
    alyx_lab.mouse("KS001", "body", frames=60)
    process = alyx_lab.start(*ALYX, "--json")
    until(lambda: statuses(alyx_lab) == ["Started"])
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and json.loads(out)["errors"][0]["code"] == "interrupted", err
    assert "Traceback" not in err and statuses(alyx_lab) == ["Waiting"]


def test_as_many_jobs_as_were_asked_for(alyx_lab: AlyxLab) -> None:
    _, (_, task, _) = alyx_lab.mouse("KS001", "body", "left")
    document = alyx_lab.json(*ALYX, "--max-jobs", "1")
    assert document["exit_code"] == 0 and sorted(statuses(alyx_lab)) == ["Complete", "Waiting"]
    assert alyx_lab.world.status(task) == "Started"


def test_a_held_queue_takes_nothing_and_says_so(alyx_lab: AlyxLab) -> None:
    _, (_, task, _) = alyx_lab.mouse("KS001", "body")
    alyx_lab.json("queue", "hold", "--why", "a look")
    document = alyx_lab.json(*ALYX)
    assert (document["exit_code"], document["errors"][0]["code"]) == (1, "queue.held")
    assert alyx_lab.world.status(task) == "Waiting"


def test_a_data_server_that_is_away_ends_the_command_with_what_waits(alyx_lab: AlyxLab) -> None:
    session = alyx_lab.world.session("KS001")
    task = alyx_lab.world.pipeline(session)[1]
    alyx_lab.world.dataset(session, "_iblrig_bodyCamera.raw.mp4", b"x" * 1000, collection="raw_video_data")
    alyx_lab.server.data_faults.down = True
    document = alyx_lab.json(*ALYX, IBLVIDEO_ADMIN_ALYX_DOWNLOADS="true")
    assert document["exit_code"] == 1 and "does not answer" in document["errors"][0]["message"]
    assert alyx_lab.world.status(task) == "Started"
