"""Jobs that stand still, take far too long, talk too much, or leave something behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import Lab, sleeper, statuses, until

from iblvideo_admin.queue import child
from iblvideo_admin.queue.child import Child
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import Lease, end_holders, is_taken
from iblvideo_admin.settings import Settings


def sleeps_once(lab: Lab) -> dict[str, str]:
    """A toolchain whose engine never answers the first time, and works the next."""
    python = lab.folder / "sleeps-once"
    python.write_text(
        f'#!/bin/sh\n[ -e "{lab.folder}/slept" ] || {{ echo $$ > "{lab.folder}/slept"; exec sleep 1000; }}\n'
        f'exec "{lab.python}" "$@"\n'
    )
    python.chmod(0o755)
    return {"IBLVIDEO_ADMIN_DLC_PYTHON": str(python)}


def test_a_job_that_stands_still_is_ended_and_counted(lab: Lab) -> None:
    video = lab.video()
    document = lab.json("process", video.session, IBLVIDEO_ADMIN_STUCK_S="1.5", **sleeper(lab))
    assert (document["exit_code"], document["errors"][0]["code"]) == (1, "job.stuck")
    job = lab.json("queue", "show", "1")["data"]
    assert (job["job"]["attempts"], job["job"]["deaths"]) == (3, 0)
    assert [event["why"] for event in job["events"]].count("job.stuck, attempt 1 of 3") == 1
    assert json.loads((lab.folder / "state/jobs/000001/result.json").read_text())["code"] == "job.stuck"


@pytest.mark.parametrize(
    "whom", ["both", pytest.param("job", marks=pytest.mark.full), pytest.param("engine", marks=pytest.mark.full)]
)
def test_a_stopped_process_is_ended_too(lab: Lab, whom: str) -> None:
    """SIGSTOP: nothing but force ends it; the device and the video are free afterwards."""
    video = lab.video()
    with lab.start("process", video.session, "--json", IBLVIDEO_ADMIN_STUCK_S="6", **sleeps_once(lab)) as process:
        until(lambda: is_taken(lab.folder / "locks/cpu") and (lab.folder / "slept").exists())
        until(lambda: json.loads(state_of(lab))["pid"])
        job, engine = json.loads(state_of(lab))["pid"], int((lab.folder / "slept").read_text())
        for number in {"job": [job], "engine": [engine], "both": [engine, job]}[whom]:
            os.kill(number, signal.SIGSTOP)
        out, _ = process.communicate(timeout=100)
    assert json.loads(out)["exit_code"] == 0, out
    assert lab.json("queue", "show", "1")["data"]["job"]["attempts"] == 1
    assert not is_taken(lab.folder / "locks/cpu")
    assert not is_taken(lab.folder / "state/jobs/000001/lock")
    assert not Path(f"/proc/{engine}").exists()


def state_of(lab: Lab) -> str:
    with sqlite3.connect(lab.folder / "state/ledger.sqlite") as db:
        return str(db.execute("SELECT state FROM jobs").fetchone()[0])


def test_an_orphan_that_stands_still_is_ended(lab: Lab) -> None:
    """Its worker was killed; the next one must not wait for it for ever."""
    video = lab.video()
    with lab.start("process", video.session, IBLVIDEO_ADMIN_STUCK_S="1000", **sleeper(lab)) as process:
        until(lambda: engine_or_sleeper(lab))
        process.kill()
        process.communicate()
    assert is_taken(lab.folder / "state/jobs/000001/lock")
    document = lab.json("process", video.session, IBLVIDEO_ADMIN_STUCK_S="6")
    assert document["exit_code"] == 0 and video.table.exists(), document
    assert lab.json("queue", "show", "1")["data"]["job"]["attempts"] == 0


def engine_or_sleeper(lab: Lab) -> bool:
    return is_taken(lab.folder / "locks/cpu")


def test_a_running_job_is_cancelled(lab: Lab) -> None:
    video = lab.video()
    with lab.start("process", video.session, "--json", **sleeper(lab)) as process:
        until(lambda: engine_or_sleeper(lab))
        cancelled = lab.json("queue", "cancel", "1")["data"]["jobs"][0]
        assert (cancelled["status"], cancelled["wish"]) == ("Started", "cancel")
        out, _ = process.communicate(timeout=30)
    assert json.loads(out)["data"]["jobs"][0]["status"] == "Abandoned"
    assert not video.table.exists() and statuses(lab) == ["Abandoned"]
    assert lab.json("process")["data"]["jobs"] == [], "a scan does not start it again"
    assert lab.json("queue", "retry", "1")["data"]["jobs"][0]["status"] == "Waiting"


def test_holders_are_found_by_whatever_name(tmp_path: Path) -> None:
    """A state folder may be reached through a link; who only has the file open holds nothing."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    lease = Lease.take(tmp_path / "real/lock")
    assert lease is not None
    words = [sys.executable, "-c", "import time; time.sleep(100)"]
    with lease:
        holding = subprocess.Popen(words, pass_fds=(lease.descriptor,))
    with open(tmp_path / "real/lock") as file, subprocess.Popen(words, pass_fds=(file.fileno(),)) as looking:
        until(lambda: is_taken(tmp_path / "link/lock"))
        end_holders(tmp_path / "link/lock")
        assert holding.wait(10) == -signal.SIGKILL
        assert looking.poll() is None and not is_taken(tmp_path / "real/lock")
        looking.kill()


def test_an_orphan_is_cancelled_without_a_worker(lab: Lab) -> None:
    video = lab.video()
    with lab.start("process", video.session, **sleeper(lab)) as process:
        until(lambda: engine_or_sleeper(lab))
        process.kill()
        process.communicate()
    lab.json("queue", "cancel", "1")
    until(lambda: not is_taken(lab.folder / "state/jobs/000001/lock"))
    lab.json("queue", "repair")
    assert statuses(lab) == ["Abandoned"]


def test_the_time_that_a_job_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its frames and this server's own speed; without either there is no limit."""

    class Watched(Child):
        def __init__(self, settings: Settings, speed: float | None) -> None:
            self._settings, self._speed = settings, speed

    def limit(progress: dict | None, speed: float | None = 10.0, **settings: float) -> float | None:
        return Watched(Settings(**settings), speed)._limit_s(progress)

    tracking = {"stage": "tracking", "done": 5, "total": 36_000, "fps": 1.0}
    assert limit(tracking) == 36_000
    assert limit(tracking, time_limit_factor=2.0) == 7_200
    assert limit({**tracking, "total": 10}) == child.LEAST_LIMIT_S
    assert limit(tracking, time_limit_factor=0.0) is limit(tracking, None) is limit(None) is None
    assert limit({**tracking, "stage": "regions"}) is None, "its steps are no frames"


def test_a_job_that_takes_far_too_long_is_ended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = lab.video()
    lab.json("process", quick.session)
    slow = lab.video("body", 600, session=lab.session("B"))
    code = (
        "import sys; from iblvideo_admin.queue import child; child.LEAST_LIMIT_S = 0.5;"
        "from iblvideo_admin.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "process", str(slow.session), "--json"],
        env={**lab.environment, "IBLVIDEO_ADMIN_TIME_LIMIT_FACTOR": "0.0001"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["errors"][0]["code"] == "job.too_slow", done.stdout + done.stderr
    assert not slow.table.exists()


def test_a_log_that_grows_is_cut_in_its_middle(tmp_path: Path) -> None:
    paths = JobPaths(tmp_path)
    with open(paths.log, "ab") as writing:
        writing.write(b"the beginning\n" + b"x" * 100_000 + b"\nthe end\n")
        writing.flush()
        paths.cut_log(200_000)
        assert paths.log.stat().st_size > 100_000, "not before it is too long"
        paths.cut_log(10_000)
        writing.write(b"goes on\n")
    content = paths.log.read_bytes()
    assert content.startswith(b"the beginning\n") and content.endswith(b"\nthe end\ngoes on\n")
    assert b"bytes left out" in content and len(content) < 5_000


def test_a_job_that_talks_without_end_fills_no_disk(lab: Lab) -> None:
    talker = lab.folder / "talker"
    talker.write_text("#!/bin/sh\nexec yes 'a warning of TensorFlow'\n")
    talker.chmod(0o755)
    limits = {"IBLVIDEO_ADMIN_LOG_LIMIT_MB": "0.2", "IBLVIDEO_ADMIN_DLC_PYTHON": str(talker)}
    log = lab.folder / "state/jobs/000001/log"
    with lab.start("process", lab.video().session, **limits) as process:
        until(lambda: log.exists() and b"bytes left out" in log.read_bytes()[:400_000])
        time.sleep(1)
        process.terminate()
        process.communicate(timeout=30)
    kept = log.read_bytes().count(b"bytes left out")
    assert kept >= 1
