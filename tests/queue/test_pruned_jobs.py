"""Jobs whose folder was removed: they can be tried again and given up as any other."""

from __future__ import annotations

from pathlib import Path

from lab import add_job

from iblvideo_admin.queue import hands, repair
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.prune import prune
from iblvideo_admin.queue.states import Errored, Started
from iblvideo_admin.settings import Settings


def failed_and_pruned(ledger: Ledger) -> Job:
    job = add_job(ledger)
    ledger.move(job.id, Started(1.0), "")
    ledger.move(job.id, Errored(2.0, "video.corrupt"), "", attempts=1)
    assert [pruned.id for pruned in prune(ledger, 0)] == [job.id]
    return ledger.job(job.id)


def test_a_job_without_its_folder_is_tried_again(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = hands.retry(ledger, failed_and_pruned(ledger).id)
        assert (job.state.status, job.pruned) == ("Waiting", None)
        request = ledger.paths(job.id).read_request()
        assert request.video == job.video and request.token


def test_a_job_without_its_folder_is_given_up_without_a_new_one(tmp_path: Path) -> None:
    """Half a folder would stay for ever: prune has been there."""
    with Ledger(tmp_path) as ledger:
        job = hands.cancel(ledger, failed_and_pruned(ledger).id)
        assert job.state.status == "Abandoned"
        assert not ledger.paths(job.id).folder.exists()


def test_a_prune_that_was_interrupted_is_finished_by_a_repair(tmp_path: Path) -> None:
    """The folder was set aside, and the ledger did not hear of it."""
    with Ledger(tmp_path) as ledger:
        job = failed_and_pruned(ledger)
        ledger.mark(job.id, pruned=None)
        assert repair.repair(ledger, Settings(state_dir=tmp_path)) == []
        assert ledger.job(job.id).pruned is not None
        assert hands.retry(ledger, job.id).state.status == "Waiting"
