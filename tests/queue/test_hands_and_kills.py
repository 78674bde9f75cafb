"""The queue under people's hands, kills and impatience: nothing lost, nothing twice, never stuck."""

from __future__ import annotations

import errno
import json
import signal
import time
from pathlib import Path

import pytest
from lab import Lab, Nobody, add_job, recover, sleeper, statuses, until

from iblvideo_admin import settings
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands, plan, repair, settle, worker
from iblvideo_admin.queue import job as queue_job
from iblvideo_admin.queue.job import JobPaths, Request
from iblvideo_admin.queue.lease import Lease
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.states import Complete, Held, Started
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

# ------------------------------------------------------------------------------------------------ people's hands


def test_a_running_job_cannot_be_held(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
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
    (lab.folder / "state/workers").mkdir()
    other = Lease.take(lab.folder / "state/workers/cpu.lock")
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


def test_a_job_cancelled_while_a_worker_takes_it_stays_cancelled(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person's command has written must not be taken for what an earlier attempt left."""
    video, real = lab.video(), JobPaths.read_request

    def cancelled_meanwhile(paths: JobPaths) -> Request:
        with Ledger(lab.folder / "state") as other:
            hands.cancel(other, 1)
        return real(paths)

    with Ledger(lab.folder / "state") as ledger:
        ledger.add(video, Request(str(video.path)))
        working = worker.Worker(ledger, settings.load(lab.environment), Nobody(), Stop())
        monkeypatch.setattr(JobPaths, "read_request", cancelled_meanwhile)
        working.turn()
        monkeypatch.undo()
        assert not working.running() and ledger.job(1).state.status == "Abandoned"
        assert repair.repair(ledger, settings.load(lab.environment)) == []
        assert ledger.job(1).state.status == "Abandoned"


def test_a_worker_killed_before_its_child_lived_costs_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    video = lab.video()
    monkeypatch.setattr(worker, "Child", kill)
    with Ledger(lab.folder / "state") as ledger:
        job = ledger.add(video, Request(str(video.path)))
        working = worker.Worker(ledger, settings.load(lab.environment), Nobody(), Stop())
        with pytest.raises(Killed):
            working.turn()
        assert ledger.job(job.id).state.status == "Started"
        working.slots["cpu"].lease.release()  # as the kernel does for a killed process
        recover(ledger)
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
            worker.Worker(ledger, settings.load(), Breaking(), Stop()).run()
        assert ledger.job(job.id).state.status == "Waiting"
        lock = Lease.take(ledger.paths(job.id).lock)
        assert lock is not None
        lock.release()


def test_hold_keeps_its_reason(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
        hands.hold(ledger, job.id, "why")
        state = ledger.job(job.id).state
        assert isinstance(state, Held) and state.because == "why"
        hands.release(ledger, job.id)
        with pytest.raises(UserError, match="is Waiting, not Held"):
            hands.release(ledger, job.id)


def test_a_video_delivered_since_the_plan_was_made_is_not_tracked_again(tmp_path: Path) -> None:
    """Two `process` at once: one plans, the other completes the job, the first enters its videos."""
    video = Video(tmp_path / "Subjects/KS001/2026-01-15/001", CAMERAS["left"])
    with Ledger(tmp_path / "state") as ledger:
        (job,) = plan.enter([video], ledger)
        ledger.move(job.id, Started(1.0), "")
        ledger.move(job.id, Complete(2.0), "")
        video.alf.mkdir(parents=True)
        video.table.write_bytes(b"delivered")
        assert plan.enter([video], ledger)[0].state.status == "Complete"
        assert plan.enter([video], ledger, overwrite=True)[0].state.status == "Waiting"


def test_a_lowered_priority_stays_where_none_is_said(tmp_path: Path) -> None:
    video = Video(tmp_path / "Subjects/KS001/2026-01-15/001", CAMERAS["left"])
    with Ledger(tmp_path / "state") as ledger:
        (job,) = plan.enter([video], ledger)
        hands.priority(ledger, job.id, -5)
        assert plan.enter([video], ledger)[0].priority == -5
        assert plan.enter([video], ledger, priority=3)[0].priority == 3
        assert plan.enter([video], ledger, priority=1)[0].priority == 3


def test_a_retry_without_room_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
        hands.cancel(ledger, job.id)
        monkeypatch.setattr(queue_job, "sync_folder", lambda folder: full() if folder.name == "000001" else None)
        with pytest.raises(UserError) as caught:
            hands.retry(ledger, job.id)
        assert caught.value.code == "state.not_usable"
        assert ledger.job(job.id).state.status == "Abandoned"


def test_a_death_that_is_the_last_attempt_is_the_end(tmp_path: Path) -> None:
    """Without a result in its folder the next repair would take it for asked again."""
    with Ledger(tmp_path) as ledger:
        job = ledger.move(add_job(ledger).id, Started(1.0), "", attempts=2)
        assert settle.ended(ledger, job, -9, 0.0).state.status == "Errored"
        assert repair.repair(ledger, settings.Settings(state_dir=tmp_path)) == []
        assert ledger.job(job.id).state.status == "Errored"


def test_a_job_that_is_run_by_hand_is_left_alone_and_others_come_first(lab: Lab) -> None:
    first, second = lab.video(session=lab.session("A")), lab.video(session=lab.session("B"))
    lab.json("queue", "add", lab.subjects)
    lease = Lease.take(lab.folder / "state/jobs/000001/lock")
    assert lease is not None
    with lease, lab.start("process", "--max-jobs", "1", "--json") as process:
        out, _ = process.communicate(timeout=60)
    assert json.loads(out)["exit_code"] == 0, out
    assert second.table.exists() and not first.table.exists()
    assert lab.json("queue", "show", "1")["data"]["job"]["state"]["because"] == "somebody runs it by hand"
