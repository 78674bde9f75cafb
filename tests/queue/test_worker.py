"""The worker against damage, odd clocks and locks: one job suffers, never the queue."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e.chaos.disk import small_disks
from lab import Lab, Nobody, add_job, recover

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.outcome import read_result
from iblvideo_admin.queue.states import Started, Waiting
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.queue.worker import Worker
from iblvideo_admin.settings import Settings

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
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "started")
        shutil.rmtree(ledger.paths(job.id).folder)
        recover(ledger)
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
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "started")
        ledger.paths(job.id).result.write_text(content)
        recover(ledger)
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
        job = add_job(ledger)
        ledger.move(job.id, Started(time.time()), "started")
        ledger.paths(job.id).progress.write_text(content, encoding="latin-1")
        assert ledger.paths(job.id).read_progress() is None
    assert lab.json("status")["data"]["running"][0]["stuck"] is False


# ------------------------------------------------------------------------------------------------ order and clocks


def test_a_clock_set_back_does_not_delay_a_job(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "")
        ledger.move(job.id, Waiting(since=1000.0, not_before=1010.0), "")
        assert ledger.next(1005.0) is None
        assert ledger.next(1010.0) == ledger.next(500.0) == ledger.job(job.id)


def test_the_next_of_very_many_jobs_is_found_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        add_job(ledger)
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


def test_no_worker_begins_on_a_ledger_that_was_opened_while_its_disk_was_read_only(tmp_path: Path) -> None:
    """SQLite stays so when the disk is writable again: a service would hold its device for weeks and do nothing."""
    state_dir = tmp_path / "state"
    disks = small_disks(state_dir)
    if not disks:
        pytest.skip("SKIPPED: no disk can be mounted here")
    killed = (
        "import os, sys; from pathlib import Path; from iblvideo_admin.queue.ledger import Ledger;"
        "ledger = Ledger(Path(sys.argv[1])); ledger.hold(False); os.kill(os.getpid(), 9)"
    )
    try:
        subprocess.run([sys.executable, "-c", killed, state_dir], check=False, timeout=20)
        assert disks[0].freeze()
        with Ledger(state_dir) as ledger:
            disks[0].thaw()
            with pytest.raises(UserError, match="readonly") as caught:
                Worker(ledger, Settings(), Nobody(), Stop(), patient=True)
        assert caught.value.code == "state.not_usable"
    finally:
        disks[0].unmount()


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
