"""The ledger and the table of transitions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import add_job

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.job import Request
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.states import (
    STATES,
    TRANSITIONS,
    Complete,
    Errored,
    Held,
    Started,
    Waiting,
    from_data,
)


def test_a_job_has_a_row_a_folder_and_a_history(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
        ledger.move(job.id, Started(5.0, pid=7), "started")
        ledger.move(job.id, Complete(9.0, 600, 20.0, 30.0, "abc", ("w",)), "tracked")
    with Ledger(tmp_path) as ledger:  # what counts is what another process sees
        job = ledger.job(job.id)
        assert job.state == Complete(9.0, 600, 20.0, 30.0, "abc", ("w",))
        assert [event.status for event in ledger.events(job.id)] == ["Waiting", "Started", "Complete"]
        assert ledger.paths(job.id).read_request().video == job.video
        assert ledger.counts() == {**dict.fromkeys(TRANSITIONS, 0), "Complete": 1}


@pytest.mark.parametrize("start", TRANSITIONS)
@pytest.mark.parametrize("end", TRANSITIONS)
def test_only_the_transitions_of_the_table(tmp_path: Path, start: str, end: str) -> None:
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
        ledger._db.execute("UPDATE jobs SET status = ?, state = ?", (start, json.dumps(STATES[start](1.0).as_data())))
        if end in TRANSITIONS[start]:
            assert ledger.move(job.id, STATES[end](2.0), "").state.status == end
        else:
            with pytest.raises(UserError) as caught:
                ledger.move(job.id, STATES[end](2.0), "")
            assert caught.value.code == "queue.not_possible"
            assert ledger.job(job.id).state.status == start


def test_the_next_job_is_of_the_highest_priority_then_the_oldest_and_due(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        first, second, third = (add_job(ledger, name) for name in "ABC")
        ledger._db.execute("UPDATE jobs SET priority = 5 WHERE id = ?", (second.id,))
        order = []
        while (job := ledger.next(100.0)) is not None:
            order.append(job.id)
            ledger.move(job.id, Started(1.0), "")
        assert order == [second.id, first.id, third.id]
        ledger.move(first.id, Waiting(1.0, not_before=200.0), "")
        assert ledger.next(199.9) is None
        assert ledger.next(200.0, only=[second.id]) is None
        due = ledger.next(200.0)
        assert due is not None and due.id == first.id


def test_a_second_process_cannot_make_a_second_job_of_a_video(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, Ledger(tmp_path) as other:
        add_job(ledger)
        with pytest.raises(UserError) as caught:
            add_job(other)
        assert caught.value.code == "state.not_usable"
        assert len(other.jobs()) == 1


def test_asking_again_keeps_the_old_result(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        job = add_job(ledger)
        ledger.move(job.id, Started(1.0), "")
        ledger.paths(job.id).result.write_text('{"status": "Errored"}')
        job = ledger.move(job.id, Errored(2.0, "video.corrupt", "m", "r"), "", attempts=1)
        again = ledger.again(job, Request(job.video, overwrite=True), "asked for again")
        assert (again.state.status, again.attempts) == ("Waiting", 0)
        assert not ledger.paths(job.id).result.exists()
        assert ledger.paths(job.id).folder.joinpath("result.1.json").exists()
        assert ledger.paths(job.id).read_request().overwrite


@pytest.mark.parametrize("name", ["job.json.tmp", "."])
def test_a_link_that_somebody_put_there_leads_nowhere(tmp_path: Path, name: str) -> None:
    """Members of the group may write in the state folder; what the service may write elsewhere is not theirs."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "table").write_text("precious")
    with Ledger(tmp_path / "state") as ledger:
        folder = ledger.paths(1).folder
        if name == ".":
            folder.symlink_to(elsewhere)
        else:
            folder.mkdir()
            (folder / name).symlink_to(elsewhere / "table")
        with pytest.raises(UserError) as caught:
            add_job(ledger)
        assert caught.value.code == "state.not_usable" and ledger.jobs() == []
    assert [path.name for path in elsewhere.iterdir()] == ["table"]
    assert (elsewhere / "table").read_text() == "precious"


@pytest.mark.parametrize(("mode", "folder", "file"), [(0o2770, 0o2770, 0o660), (0o755, 0o755, 0o644)])
def test_a_group_shares_it_whatever_the_umask(tmp_path: Path, mode: int, folder: int, file: int) -> None:
    """Who added the first job may have another umask than the service that runs it."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    before = os.umask(0o077)
    try:
        with Ledger(state) as ledger:
            job = add_job(ledger)
            modes = {path.name: path.stat().st_mode & 0o7777 for path in state.rglob("*")}
    finally:
        os.umask(before)
    assert modes["jobs"] == modes[ledger.paths(job.id).folder.name] == folder
    assert modes["ledger.sqlite"] == modes["ledger.sqlite-wal"] == modes["ledger.sqlite-shm"] == file


def test_hold_and_release_the_queue(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger.held() is None
        ledger.hold(True, "new cards")
        assert "new cards" in (ledger.held() or "")
        ledger.hold(False)
        assert ledger.held() is None


def test_a_damaged_ledger_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("no database" * 100)
    with pytest.raises(UserError) as caught:
        Ledger(tmp_path)
    assert caught.value.code == "state.not_usable"


def test_an_unknown_job(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, pytest.raises(UserError) as caught:
        ledger.job(5)
    assert caught.value.code == "queue.job_unknown"


@settings(max_examples=50)
@given(st.floats(0, 1e10), st.text(), st.integers(0, 10**9))
def test_states_survive_json(since: float, text: str, number: int) -> None:
    for state in (Held(since, text), Started(since, number), Complete(since, number, 1.5, 2.5, "x", (text,))):
        assert from_data(json.loads(json.dumps(state.as_data()))) == state
