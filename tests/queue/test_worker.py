"""The worker against damage, kills and impatience: nothing lost, nothing twice, never stuck."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import Lab

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands, worker
from iblvideo_admin.queue.job import JobPaths, Request
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.run_job import read_result
from iblvideo_admin.queue.states import Held, Started, Waiting
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video


class Nobody:
    def started(self, job: Job) -> None: ...

    def progress(self, job: Job, progress: dict) -> None: ...

    def ended(self, job: Job) -> None: ...


def add(ledger: Ledger, subject: str = "KS001", camera: str = "left") -> Job:
    video = Video(Path("/data/Subjects") / subject / "2026-01-15/001", CAMERAS[camera])
    return ledger.add(video, Request(str(video.path)))


def until(what: Callable[[], object], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def statuses(lab: Lab) -> list[str]:
    """Read beside our own code, and as soon as there is a ledger."""
    path = lab.folder / "state/ledger.sqlite"
    if not path.exists():
        return []
    db = sqlite3.connect(path)
    try:
        return [status for (status,) in db.execute("SELECT status FROM jobs ORDER BY id")]
    except sqlite3.OperationalError:  # not made yet
        return []
    finally:
        db.close()


def sleeper(lab: Lab) -> dict[str, str]:
    """A toolchain whose engine never answers."""
    slow = lab.folder / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    return {"IBLVIDEO_ADMIN_DLC_PYTHON": str(slow)}


# ------------------------------------------------------------------------------------------------ damage by hand


def test_a_damaged_job_ends_and_the_others_go_on(lab: Lab) -> None:
    bad, good = lab.video(session=lab.session("A")), lab.video(session=lab.session("B"))
    lab.json("queue", "hold")
    lab.json("process")
    shutil.rmtree(lab.folder / "state/jobs/000001")
    lab.json("queue", "release")
    document = lab.json("process")
    assert (document["exit_code"], document["errors"][0]["code"]) == (1, "job.damaged")
    assert good.table.exists() and not bad.table.exists()
    assert lab.json("process", bad.session)["exit_code"] == 0  # as its remedy says
    assert bad.table.exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"video": ["no", "text"]}', '{"video": "/v", "windows": {"nose_tip": 3}}',
     '{"video": "/v", "windows": "x"}', '{"video": "/v", "engine": {}}'],
)  # fmt: skip
def test_a_damaged_request_is_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(UserError) as caught:
        JobPaths(tmp_path).read_request()
    assert caught.value.code == "queue.job_unknown"


def test_a_started_job_without_its_folder_is_no_trap(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add(ledger)
        ledger.move(job.id, Started(1.0), "started")
        shutil.rmtree(ledger.paths(job.id).folder)
        worker.recover(ledger, 0)
        assert ledger.job(job.id).state.status == "Waiting"


GOOD = {"status": "Complete", "started": 1.0, "ended": 2.0, "frames": 5, "fps": 2.0, "warnings": []}


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", '{"status": "Complete"}', "\x00" * 20, '{"status": 5, "started": 1, "ended": 2}',
     *(json.dumps({**GOOD, **odd}) for odd in (
         {"status": "Unheard"}, {"ended": "x"}, {"fps": float("nan")}, {"frames": None}, {"warnings": "x"},
         {"warnings": [1]}, {"code": ["x"]}, {"status": "Errored"}))],
)  # fmt: skip
def test_a_damaged_result_is_none(tmp_path: Path, content: str) -> None:
    paths = JobPaths(tmp_path)
    paths.result.write_text(content)
    assert read_result(paths) is None
    with Ledger(tmp_path / "state") as ledger:
        job = add(ledger)
        ledger.move(job.id, Started(1.0), "started")
        ledger.paths(job.id).result.write_text(content)
        worker.recover(ledger, 0)
        assert ledger.job(job.id).state.status == "Waiting"


def test_a_result_of_a_newer_version_is_understood(tmp_path: Path) -> None:
    paths = JobPaths(tmp_path)
    paths.result.write_text(json.dumps({**GOOD, "something": {"new": 1}}))
    result = read_result(paths)
    assert result is not None and result.frames == 5


@pytest.mark.parametrize(
    "content",
    ['{"stage": "tracking", "done": "x", "total": [], "fps": "y", "written": "z"}', "[1]", '{"fps": NaN}', "{", "\xff",
     '{"stage": "tracking", "done": 1, "total": 2, "fps": Infinity, "written": 1}'],
)  # fmt: skip
def test_garbage_in_progress_is_passed_over(lab: Lab, content: str) -> None:
    with Ledger(lab.folder / "state") as ledger:
        job = add(ledger)
        ledger.move(job.id, Started(time.time()), "started")
        ledger.paths(job.id).progress.write_text(content, encoding="latin-1")
        assert ledger.paths(job.id).read_progress() is None
    assert lab.json("status")["data"]["running"][0]["stuck"] is False


# ------------------------------------------------------------------------------------------------ order and clocks


def test_a_clock_set_back_does_not_delay_a_job(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add(ledger)
        ledger.move(job.id, Started(1.0), "")
        ledger.move(job.id, Waiting(since=1000.0, not_before=1010.0), "")
        assert ledger.next(1005.0) is None
        assert ledger.next(1010.0) == ledger.next(500.0) == ledger.job(job.id)


def test_the_next_of_very_many_jobs_is_found_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        add(ledger)
        state = json.dumps(Waiting(1.0).as_data())
        with ledger.transaction():
            ledger._db.executemany(
                "INSERT INTO jobs (video, subject, date, number, camera, created, status, state)"
                " VALUES (?, 'S', '2026-01-01', '001', 'left', 0, 'Waiting', ?)",
                ((f"/v{number}", state) for number in range(20_000)),
            )
        parsed = []
        select = ledger._select
        ledger._select = lambda *a: (parsed.append(job) or job for job in select(*a))  # type: ignore[method-assign]
        found = ledger.next(100.0)
        assert found is not None and found.id == 1
        assert len(parsed) == 1


def test_a_reader_need_not_wait_for_a_writer(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, ledger.transaction():
        begun = time.monotonic()
        with Ledger(tmp_path) as other:
            assert other.jobs() == []
        assert time.monotonic() - begun < 5


def test_a_ledger_that_breaks_while_it_is_open_is_one_error(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger._db.execute("DROP TABLE jobs")
        for look in (ledger.jobs, ledger.counts, lambda: ledger.next(1.0)):
            with pytest.raises(UserError) as caught:
                look()
            assert caught.value.code == "state.not_usable"


def test_a_pipe_in_the_folder_of_locks_stops_nobody(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from iblvideo_admin.queue.lease import Lease;"
        "Lease.take(Path(sys.argv[1]))"
    )
    os.mkfifo(tmp_path / "lock")
    subprocess.run([sys.executable, "-c", code, tmp_path / "lock"], check=False, timeout=20)


def test_locks_can_be_shared_whatever_the_umask(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from iblvideo_admin.queue.lease import Lease;"
        "os.umask(0o077); Lease.take(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "lock"], check=True, timeout=20)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o644


# ------------------------------------------------------------------------------------------------ people's hands


def test_a_running_job_cannot_be_held(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add(ledger)
        ledger.move(job.id, Started(1.0), "started")
        with pytest.raises(UserError, match="is Started, not Waiting") as caught:
            hands.hold(ledger, job.id)
        assert caught.value.code == "queue.not_possible"
        assert ledger.job(job.id).state.status == "Started"


def test_a_held_job_that_is_named_says_how_to_release_it(lab: Lab) -> None:
    video = lab.video()
    lab.json("queue", "hold")
    lab.json("process", video.session)
    lab.json("queue", "hold", "1", "--why", "look first")
    lab.json("queue", "release")
    document = lab.json("process", video.session)
    assert (document["exit_code"], document["errors"][0]["code"]) == (1, "queue.held")
    assert "look first" in document["errors"][0]["message"] and "release 1" in document["errors"][0]["remedy"]


def test_a_new_wish_for_a_waiting_job_counts(lab: Lab) -> None:
    video = lab.video("left", 6)
    lab.json("queue", "hold")
    lab.json("process", video.session)
    lab.json("queue", "release")
    points = lab.folder / "windows.toml"
    points.write_text(
        "[left]\nnose_tip = [340, 560]\npupil_top_r = [640, 313]\ntube_top = [330, 672]\ntube_bottom = [318, 728]\n"
    )
    assert lab.json("process", video.session, "--windows", points, STAND_IN="unsure")["exit_code"] == 0
    request = json.loads((lab.folder / "state/jobs/000001/job.json").read_text())
    assert request["windows"]["nose_tip"] == [340, 560]


def test_a_scan_of_one_camera_leaves_the_waiting_jobs_of_others(lab: Lab) -> None:
    left, body = lab.video("left", 3), lab.video("body", 6)
    lab.json("queue", "hold")
    lab.json("process")
    lab.json("queue", "release")
    assert [job["camera"] for job in lab.json("process", "--camera", "body")["data"]["jobs"]] == ["body"]
    assert body.table.exists() and not left.table.exists()
    assert lab.json("process", left.path, "--camera", "body")["data"]["jobs"] == []


def test_two_who_name_the_same_failed_video(lab: Lab) -> None:
    video = lab.video()
    content = video.path.read_bytes()
    video.path.write_bytes(b"x")
    lab.json("process", video.session)
    video.path.write_bytes(content)
    processes = [lab.start("process", video.session, "--json") for _ in range(3)]
    documents = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [document["exit_code"] for document in documents] == [0, 0, 0], documents


# ------------------------------------------------------------------------------------------------ kills and Ctrl-C


def test_when_the_worker_ends_who_follows_takes_its_place(lab: Lab) -> None:
    video = lab.video()
    lab.json("queue", "list")
    other = Lease.take(lab.folder / "state/worker.lock")
    assert other is not None
    with lab.start("process", video.session, "--json") as process:
        until(lambda: statuses(lab) == ["Waiting"])
        time.sleep(1)
        assert process.poll() is None
        other.release()
        out, _ = process.communicate(timeout=30)
    assert json.loads(out)["exit_code"] == 0 and video.table.exists()


def test_one_is_interrupted_while_the_other_follows(lab: Lab) -> None:
    first, second = lab.video(session=lab.session("A")), lab.video(session=lab.session("B"))
    with lab.start("process", first.session, "--json", **sleeper(lab)) as leader:
        until(lambda: statuses(lab) == ["Started"])
        with lab.start("process", first.session, second.session, "--json") as follower:
            until(lambda: statuses(lab) == ["Started", "Waiting"])
            leader.send_signal(signal.SIGINT)
            leader.communicate(timeout=20)
            out, _ = follower.communicate(timeout=60)
    assert json.loads(out)["exit_code"] == 0, out
    assert first.table.exists() and second.table.exists()


def test_impatience_does_not_leave_a_job_behind(lab: Lab) -> None:
    video = lab.video()
    with lab.start("process", video.session, "--json", **sleeper(lab)) as process:
        until(lambda: statuses(lab) == ["Started"])
        until((lab.folder / "state/jobs/000001/lock").exists)
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            time.sleep(0.03)
        out, err = process.communicate(timeout=20)
    assert "Traceback" not in err
    assert process.returncode == 130 and json.loads(out)["errors"][0]["code"] == "interrupted"
    assert statuses(lab) == ["Waiting"]


def test_a_worker_killed_before_its_child_lived_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with Ledger(tmp_path) as ledger:
        job = add(ledger)
        monkeypatch.setattr(worker.subprocess, "Popen", kill)
        monkeypatch.setattr(worker, "_give_back", kill)  # a killed process gives nothing back
        with pytest.raises(Killed):
            worker.run(ledger, job, Nobody(), 0)
        assert ledger.job(job.id).state.status == "Started"
        worker.recover(ledger, 0)
        assert (ledger.job(job.id).state.status, ledger.job(job.id).attempts) == ("Waiting", 0)


def test_an_observer_that_breaks_leaves_no_child(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking(Nobody):
        def started(self, job: Job) -> None:
            raise ValueError("a bug")

    video = lab.video()
    for name, value in {**lab.environment, **sleeper(lab)}.items():
        monkeypatch.setenv(name, value)
    with Ledger(lab.folder / "state") as ledger:
        job = ledger.add(video, Request(str(video.path)))
        with pytest.raises(ValueError, match="a bug"):
            worker.run(ledger, job, Breaking(), 0)
        assert ledger.job(job.id).state.status == "Waiting"
        lock = Lease.take(ledger.paths(job.id).lock)
        assert lock is not None
        lock.release()


def test_hold_keeps_its_reason(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add(ledger)
        hands.hold(ledger, job.id, "why")
        state = ledger.job(job.id).state
        assert isinstance(state, Held) and state.because == "why"
        hands.release(ledger, job.id)
        with pytest.raises(UserError, match="is Waiting, not Held"):
            hands.release(ledger, job.id)
