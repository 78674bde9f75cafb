"""``process --watch`` as systemd runs it: sessions come, settings change, and it is stopped."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab import Lab, sleeper, statuses, until, write_video

from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.slots import has_worker

FAST = {"IBLVIDEO_ADMIN_SCAN_EVERY_S": "0.3", "IBLVIDEO_ADMIN_START_HELD": "false"}


@contextmanager
def serving(lab: Lab, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A service, up and ready; it must end by itself on SIGTERM, and say nothing strange."""
    with lab.start("process", "--watch", "--json", **{**FAST, **environment}) as process:
        try:
            until(lambda: has_worker(lab.folder / "state", "cpu"))
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        assert process.returncode == 0, out + err
        assert json.loads(out)["data"]["watched"] is True


def test_new_sessions_are_tracked_as_they_come(lab: Lab) -> None:
    with serving(lab):
        until(lambda: statuses(lab) == [])
        for number, name in enumerate("AB", 1):
            lab.video(session=lab.session(name))
            until(lambda number=number: statuses(lab) == ["Complete"] * number)
        lab.json("queue", "hold", "--why", "a look")
        lab.video(session=lab.session("C"))
        until(lambda: statuses(lab) == ["Complete", "Complete", "Waiting"])
        time.sleep(1)
        assert statuses(lab)[2] == "Waiting"
        lab.json("queue", "release")
        until(lambda: statuses(lab) == ["Complete"] * 3)
    assert not has_worker(lab.folder / "state", "cpu")


def test_a_running_transfer_is_not_picked_up(lab: Lab) -> None:
    video = lab.video()
    whole = video.path.read_bytes()
    video.path.write_bytes(whole[:1000])
    with serving(lab, IBLVIDEO_ADMIN_REST_S="4"):
        for part in range(5):
            time.sleep(1)
            video.path.write_bytes(whole[: 1000 + part])
            assert statuses(lab) == []
        video.path.write_bytes(whole)
        until(lambda: statuses(lab) == ["Complete"])


def test_a_flag_says_that_the_transfer_has_ended_and_stays(lab: Lab) -> None:
    video = lab.video()
    flag = video.session / "raw_session.flag"
    flag.touch()
    with serving(lab, IBLVIDEO_ADMIN_REST_S="1000"):
        until(lambda: statuses(lab) == ["Complete"])
    assert flag.exists()


def test_the_first_start_with_a_backlog_is_held_until_somebody_looked(lab: Lab) -> None:
    lab.video()
    held = {"IBLVIDEO_ADMIN_START_HELD": "true"}
    with serving(lab, **held):
        until(lambda: statuses(lab) == ["Waiting"])
        assert "first start with 1 videos" in lab.json("status")["data"]["held"]
        time.sleep(1)
        assert statuses(lab) == ["Waiting"]
    with serving(lab, **held):
        time.sleep(1)
        assert statuses(lab) == ["Waiting"], "a second start is no release"
        assert lab.json("process", "--dry-run")["data"]["videos"]
        lab.json("queue", "release")
        until(lambda: statuses(lab) == ["Complete"])


def test_a_first_start_without_a_backlog_needs_nobody(lab: Lab) -> None:
    with serving(lab, IBLVIDEO_ADMIN_START_HELD="true"):
        until(lambda: seen(lab))
        lab.video()
        until(lambda: statuses(lab) == ["Complete"])


def seen(lab: Lab) -> bool:
    with sqlite3.connect(lab.folder / "state/ledger.sqlite") as db:
        return bool(db.execute("SELECT seen FROM queue").fetchone()[0])


def test_sigterm_lets_the_running_job_end(lab: Lab) -> None:
    video = lab.video("left", 40)
    with serving(lab, IBLVIDEO_ADMIN_STOP_GRACE_S="60") as process:
        until(lambda: statuses(lab) == ["Started"])
        lab.video(session=lab.session("B"))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert video.table.exists()
    assert statuses(lab)[0] == "Complete" and "Started" not in statuses(lab)


@pytest.mark.parametrize("grace", ["0", "1000"])
def test_sigterm_gives_back_a_job_that_takes_too_long(lab: Lab, grace: str) -> None:
    """Or at once, for somebody who says it twice."""
    lab.video()
    with serving(lab, IBLVIDEO_ADMIN_STOP_GRACE_S=grace, **sleeper(lab)) as process:
        until((lab.folder / "state/jobs/000001/lock").exists)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        if grace != "0":
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert time.monotonic() - begun < 4
    assert statuses(lab) == ["Waiting"]
    shown = lab.json("queue", "show", "1")["data"]
    assert shown["job"]["attempts"] == 0 and shown["events"][-1]["why"] == "the service was stopped"


def test_sighup_reads_the_settings_anew(lab: Lab) -> None:
    """With wrong ones nothing is started, and it is said, until they are mended."""
    config = lab.folder / "config.toml"
    soon = time.localtime(time.time() + 7200)
    later = f'hours = "{time.strftime("%H:%M", soon)}-{time.strftime("%H", soon)}:59"\n'
    config.write_text('hours = "always"\n')
    with serving(lab, IBLVIDEO_ADMIN_CONFIG=str(config)) as process:
        for content, said in (
            ('hours = "nonsense\n', "is not valid TOML"),
            (later, "setting hours"),
            ('hours = "7"', "7"),
        ):
            config.write_text(content)
            process.send_signal(signal.SIGHUP)
            lab.video()
            until(lambda said=said: any(said in text for text in lab.json("status")["data"]["attention"]))
            assert statuses(lab) == ["Waiting"]
        config.write_text("")
        process.send_signal(signal.SIGHUP)
        until(lambda: statuses(lab) == ["Complete"])


def test_what_systemd_hears(lab: Lab) -> None:
    lab.video()
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(lab.folder / "notify"))
        listening.settimeout(0.1)

        def hears(text: str) -> bool:
            try:
                while True:
                    heard.append(listening.recv(4096).decode())
            except TimeoutError:
                return any(text in one for one in heard)

        with serving(lab, NOTIFY_SOCKET=listening.getsockname(), WATCHDOG_USEC="60000000"):
            until(lambda: hears("READY=1"))
            until(lambda: hears("STATUS=job 1"))
            until(lambda: hears("STATUS=idle"))
            assert hears("WATCHDOG=1")
        assert hears("STOPPING=1")
    assert heard[0].startswith("READY=1")


def test_somebody_is_told_of_a_failure_and_of_a_queue_that_stands_still(lab: Lab) -> None:
    told = lab.folder / "told"
    told.mkdir()
    script = lab.folder / "tell.py"
    script.write_text(
        "import sys, pathlib, time\n"
        f"pathlib.Path({str(told)!r}, f'{{time.time_ns()}}.json').write_text(sys.stdin.read())\n"
    )
    lab.video().path.write_bytes(b"no video")
    settings = {
        "IBLVIDEO_ADMIN_ON_ATTENTION": f"'{sys.executable}' '{script}'",
        "IBLVIDEO_ADMIN_ON_ATTENTION_EVERY_S": "2",
        "IBLVIDEO_ADMIN_STANDSTILL_S": "2",
    }

    def events() -> list[dict]:
        documents = [json.loads(path.read_text() or "{}") for path in sorted(told.glob("*.json"))]
        return [event for document in documents for event in document.get("events", [])]

    with serving(lab, **settings):
        until(lambda: [event["event"] for event in events()] == ["job_failed"])
        assert events()[0]["code"] == "video.corrupt" and events()[0]["job"] == 1 and events()[0]["remedy"]
        lease = Lease.take(lab.folder / "locks/cpu")
        assert lease is not None
        with lease:
            lab.video(session=lab.session("B"))
            until(lambda: len(events()) == 2)
        assert events()[1]["event"] == "standstill" and "another job of this server uses it" in events()[1]["message"]
        until(lambda: statuses(lab) == ["Errored", "Complete"])


def test_a_command_that_hangs_or_is_not_there_stops_nothing(lab: Lab) -> None:
    lab.video().path.write_bytes(b"no video")
    for command in ("/nowhere/at/all", "sleep 1000"):
        with serving(lab, IBLVIDEO_ADMIN_ON_ATTENTION=command, IBLVIDEO_ADMIN_ON_ATTENTION_EVERY_S="0"):
            lab.json("queue", "retry", "1")
            until(lambda: statuses(lab)[:1] == ["Errored"])
            name = Path(command.split()[0]).name
            lab.video(session=lab.session(f"good-{name}"))
            until(lambda: statuses(lab)[-1] == "Complete")


def test_a_disk_that_fills_up_pauses_the_queue(lab: Lab) -> None:
    """Nothing is burnt through: the jobs wait, and go on when there is room."""
    for name in "AB":
        lab.video(session=lab.session(name))
    config = lab.folder / "config.toml"
    config.write_text("min_free_gb = 1e9\n")
    del lab.environment["IBLVIDEO_ADMIN_MIN_FREE_GB"]
    with serving(lab, IBLVIDEO_ADMIN_CONFIG=str(config)) as process:
        until(lambda: any("GB free" in text for text in lab.json("status")["data"]["attention"]))
        assert statuses(lab) == ["Waiting", "Waiting"]
        config.write_text("min_free_gb = 0.0\n")
        process.send_signal(signal.SIGHUP)
        until(lambda: statuses(lab) == ["Complete", "Complete"])
    assert [job["attempts"] for job in lab.json("queue", "list")["data"]["jobs"]] == [0, 0]


def test_folders_of_long_ago_are_removed(lab: Lab) -> None:
    video = lab.video()
    lab.json("process", video.session)
    with sqlite3.connect(lab.folder / "state/ledger.sqlite") as db:
        db.execute("UPDATE jobs SET since = 1.0, state = json_set(state, '$.since', 1.0)")
    with serving(lab):
        until(lambda: not (lab.folder / "state/jobs/000001").exists())
    assert video.table.exists() and statuses(lab) == ["Complete"]


def test_a_watch_of_named_folders_and_cameras(lab: Lab) -> None:
    body = lab.video()
    write_video(body.path.with_name("_iblrig_leftCamera.raw.mp4"), 1280, 1024, 3)
    with lab.start("process", body.session.parent.parent, "--watch", "--camera", "body", **FAST) as process:
        until(lambda: statuses(lab) == ["Complete"])
        time.sleep(1)
        process.terminate()
        out, _ = process.communicate(timeout=30)
    assert out == "stopped; in the queue: 1 Complete\n"


@pytest.mark.parametrize("more", [["--overwrite", "x"], ["--max-jobs", "1"], ["--dry-run"]])
def test_what_does_not_go_with_watch(lab: Lab, more: list[str]) -> None:
    document = lab.json("process", "--watch", *more)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "usage")
