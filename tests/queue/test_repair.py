"""The folders are the truth: whatever happened to the ledger, a repair makes it say what they say."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from lab import Lab, add_job

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.outcome import JobResult, failed
from iblvideo_admin.queue.repair import open_repaired, repair
from iblvideo_admin.queue.states import Complete, Errored, Held, Started
from iblvideo_admin.settings import Settings

DONE = JobResult("Complete", 1.0, 2.0, frames=5)


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, retry_wait_s=0.0)


def statuses(ledger: Ledger) -> dict[int, str]:
    return {job.id: job.state.status for job in ledger.jobs()}


def test_a_ledger_that_agrees_is_left_alone(own: Settings) -> None:
    with Ledger(own.state_dir) as ledger:
        for status, result in (("Waiting", None), ("Held", None), ("Complete", DONE)):
            job = add_job(ledger, status)
            if status == "Held":
                ledger.move(job.id, Held(1.0), "")
            if result is not None:
                result.write(ledger.paths(job.id))
                ledger.move(job.id, Started(1.0), "")
                ledger.move(job.id, result.as_state(), "")
        before = [job.as_data() for job in ledger.jobs()]
        assert repair(ledger, own) == []
        assert [job.as_data() for job in ledger.jobs()] == before


def test_a_lost_ledger_is_made_anew_and_the_queue_held(own: Settings) -> None:
    with Ledger(own.state_dir) as ledger:
        results = {
            "A": None,
            "B": DONE,
            "C": failed(UserError("video.corrupt", "m"), 1.0),
            "D": failed(UserError("engine.crashed", "m"), 1.0),
            "E": JobResult("Abandoned", 1.0, 2.0, message="cancelled"),
        }
        for name, result in results.items():
            job = add_job(ledger, name)
            if result is not None:
                result.write(ledger.paths(job.id))
    for file in own.state_dir.glob("ledger.sqlite*"):
        file.unlink()
    ledger, changes = open_repaired(own)
    with ledger:
        wanted = {1: "Waiting", 2: "Complete", 3: "Errored", 4: "Waiting", 5: "Abandoned"}
        assert statuses(ledger) == wanted
        assert [str(change) for change in changes] == [f"job {n}: entered as {s}" for n, s in wanted.items()]
        assert "made anew" in (ledger.held() or "")
        assert add_job(ledger, "F").id == 6
        assert repair(ledger, own) == []


def test_a_damaged_ledger_is_kept_aside(lab: Lab) -> None:
    video = lab.video()
    lab.json("process", video.session)
    ledger = lab.folder / "state/ledger.sqlite"
    content = bytearray(ledger.read_bytes())
    content[100:3000] = b"\xaa" * 2900
    ledger.write_bytes(content)
    refused = lab.json("queue", "list")
    assert refused["exit_code"] == 3 and "queue repair" in refused["errors"][0]["remedy"]
    told = lab.json("queue", "repair")["data"]["changes"]
    assert "the ledger was damaged" in told[0]["what"] and told[1]["what"] == "entered as Complete"
    assert list((lab.folder / "state").glob("ledger.sqlite.damaged-*"))
    assert lab.json("queue", "list")["data"]["counts"]["Complete"] == 1


def test_a_damaged_ledger_under_a_living_worker(own: Settings) -> None:
    Ledger(own.state_dir).close()
    (own.state_dir / "ledger.sqlite").write_text("no database" * 1000)
    (own.state_dir / "workers").mkdir()
    lease = Lease.take(own.state_dir / "workers/cpu.lock")
    assert lease is not None
    with lease, pytest.raises(UserError, match="a worker lives on it"):
        open_repaired(own)


@pytest.mark.parametrize("status", ["Waiting", "Held", "Errored", "Complete"])
@pytest.mark.parametrize("result", [DONE, failed(UserError("video.corrupt", "m"), 1.0)])
def test_a_result_wins_over_an_older_ledger(own: Settings, status: str, result: JobResult) -> None:
    """As where a copy of the ledger of yesterday was put back."""
    with Ledger(own.state_dir) as ledger:
        job = add_job(ledger)
        if status == "Held":
            ledger.move(job.id, Held(1.0), "")
        elif status != "Waiting":
            ledger.move(job.id, Started(1.0), "")
            ledger.move(job.id, Complete(1.0) if status == "Complete" else Errored(1.0, "bug"), "")
        result.write(ledger.paths(job.id))
        changes = repair(ledger, own)
        assert ledger.job(job.id).state.status == result.status
        assert [str(c) for c in changes] == (
            [] if status == result.status else [f"job 1: {status} became {result.status}"]
        )


def test_asked_again_and_interrupted_is_asked_again(own: Settings) -> None:
    with Ledger(own.state_dir) as ledger:
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "")
        ledger.move(job.id, Errored(1.0, "bug"), "")
        assert [change.what for change in repair(ledger, own)] == ["Errored became Waiting"]


def test_a_folder_that_was_never_entered(own: Settings) -> None:
    with Ledger(own.state_dir) as ledger:
        first = add_job(ledger, "A")
        shutil.copytree(ledger.paths(first.id).folder, ledger.paths(7).folder)
        request = json.loads(ledger.paths(7).request.read_text())
        ledger.paths(7).request.write_text(json.dumps({**request, "video": request["video"].replace("/A/", "/B/")}))
        shutil.copytree(ledger.paths(first.id).folder, ledger.paths(8).folder)
        (own.state_dir / "jobs/notes").mkdir()
        (own.state_dir / "jobs/9").mkdir()
        told = [str(change) for change in repair(ledger, own)]
        assert told == ["job 7: entered as Waiting", "job 8: its folder is removed: job 1 is for the same video"]
        assert not ledger.paths(8).folder.exists()
        assert ledger.held() is None


def test_a_number_whose_folder_is_there_is_not_given_again(own: Settings) -> None:
    """The crash came between the folder and the row: the next to be added must not be mixed up with it."""
    with Ledger(own.state_dir) as ledger:
        first = add_job(ledger, "A")
        shutil.copytree(ledger.paths(first.id).folder, ledger.paths(2).folder)
        assert add_job(ledger, "B").id == 3


def test_a_job_whose_process_lives_is_left_alone(own: Settings) -> None:
    with Ledger(own.state_dir) as ledger:
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "")
        lease = Lease.take(ledger.paths(job.id).lock)
        assert lease is not None
        with lease:
            assert repair(ledger, own) == []
        assert [change.what for change in repair(ledger, own)] == ["Started became Waiting"]


def test_every_start_repairs_and_says_so(lab: Lab) -> None:
    video = lab.video()
    lab.json("process", video.session)
    with sqlite3.connect(lab.folder / "state/ledger.sqlite") as db:
        db.execute("UPDATE jobs SET status = 'Errored', state = json_set(state, '$.status', 'Errored')")
    document = lab.json("process")
    assert document["data"]["repaired"] == [{"job": 1, "what": "Errored became Complete"}]


def test_pruned_jobs_need_no_folder(own: Settings) -> None:
    with Ledger(own.state_dir) as ledger:
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "")
        ledger.move(job.id, Complete(1.0), "")
        ledger.mark(job.id, pruned=2.0)
        JobPaths(ledger.paths(job.id).folder).set_folder_aside()
        assert repair(ledger, own) == []
        assert list((own.state_dir / "jobs").iterdir()) == [], "what a crash left of it is removed"
