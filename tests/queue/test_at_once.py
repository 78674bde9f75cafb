"""Several people and workers at the same moment: one job a video, no update lost, nobody told of a locked database."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, Nobody, add_job, sleeper, statuses, until

from iblvideo_admin import settings
from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands, worker
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.stopping import Stop


def all_at_once(lab: Lab, *commands: tuple[str | Path, ...]) -> list[dict[str, Any]]:
    """Start all, then wait for all; each must end well, without a word about locks."""
    processes = [lab.start(*command, "--json") for command in commands]
    ended = [process.communicate(timeout=120) for process in processes]
    for process, (out, err) in zip(processes, ended, strict=True):
        assert process.returncode == 0, out + err
        assert "locked" not in out + err
    return [json.loads(out) for out, _ in ended]


def test_two_process_everything(lab: Lab) -> None:
    videos = [lab.video(frames=3, session=lab.session(subject)) for subject in "ABC"]
    first, second = all_at_once(lab, ("process",), ("process",))
    assert statuses(lab) == ["Complete"] * 3
    assert all(video.table.exists() for video in videos)
    with Ledger(lab.folder / "state") as ledger:
        starts = [[event.status for event in ledger.events(job.id)].count("Started") for job in ledger.jobs()]
    assert starts == [1, 1, 1]
    assert {job["id"] for document in (first, second) for job in document["data"]["jobs"]} == {1, 2, 3}


def test_ten_add_one_session(lab: Lab) -> None:
    lab.video("left", 3)
    lab.video("body", 3)
    documents = all_at_once(lab, *[("queue", "add", lab.session())] * 10)
    assert [[job["id"] for job in document["data"]["jobs"]] for document in documents] == [[1, 2]] * 10
    assert statuses(lab) == ["Waiting"] * 2
    assert sorted(path.name for path in (lab.folder / "state/jobs").iterdir()) == ["000001", "000002"]


def test_no_update_is_lost(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from iblvideo_admin.queue import hands; "
        "from iblvideo_admin.queue.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])) as ledger:\n"
        "    for _ in range(25):\n"
        "        with ledger.transaction():\n"
        "            hands.priority(ledger, 1, ledger.job(1).priority + 1)\n"
    )
    with Ledger(tmp_path) as ledger:
        add_job(ledger)
        processes = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(4)]
        assert [process.wait(100) for process in processes] == [0] * 4
        assert ledger.job(1).priority == 100


def test_a_cancel_while_it_finishes_comes_too_late(lab: Lab) -> None:
    """The result is there, the worker has not seen it: what was done counts."""
    video = lab.video(frames=3)
    lab.json("queue", "list")
    with lab.start("process", video.path, "--json") as process, Ledger(lab.folder / "state") as ledger:
        until((lab.folder / "state/jobs/000001/result.json").exists)
        with suppress(UserError):  # the worker may have seen it already
            hands.cancel(ledger, 1)
        out, _ = process.communicate(timeout=60)
        assert json.loads(out)["exit_code"] == 0
        job = ledger.job(1)
        assert (job.state.status, job.wish) == ("Complete", "")


def test_a_running_job_is_not_tried_again_but_cancelled(lab: Lab) -> None:
    video = lab.video(frames=3)
    lab.json("queue", "list")
    with lab.start("process", video.path, "--json", **sleeper(lab)) as process, Ledger(lab.folder / "state") as ledger:
        until(lambda: statuses(lab) == ["Started"])
        with pytest.raises(UserError) as caught:
            hands.retry(ledger, 1)
        assert caught.value.code == "queue.not_possible"
        hands.cancel(ledger, 1)
        process.communicate(timeout=60)
        assert ledger.job(1).state.status == "Abandoned"
        assert [event.status for event in ledger.events(1)] == ["Waiting", "Started", "Abandoned"]


@pytest.mark.parametrize("what", ["the job", "the queue", "cancel"])
def test_what_a_person_does_while_a_job_starts_is_heard(lab: Lab, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Between the worker's choice and its claim."""
    video = lab.video(frames=3)
    lab.json("queue", "add", video.path)
    with Ledger(lab.folder / "state") as ledger, Ledger(lab.folder / "state") as other:
        choose = ledger.next

        def chosen(*arguments: Any) -> Job | None:
            job = choose(*arguments)
            if what == "the job":
                hands.hold(other, 1)
            elif what == "cancel":
                hands.cancel(other, 1)
            else:
                other.hold(True)
            return job

        monkeypatch.setattr(ledger, "next", chosen)
        monkeypatch.delattr(worker, "Child")
        working = worker.Worker(ledger, settings.load(lab.environment), Nobody(), Stop())
        working.turn()
        working.leave("over")
        status = {"the job": "Held", "the queue": "Waiting", "cancel": "Abandoned"}[what]
        assert other.job(1).state.status == status
        assert ledger.paths(1).result.exists() == (what == "cancel")
