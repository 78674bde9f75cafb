"""The whole queue against a model: people, workers, kills and repairs in any order, through two ledgers at once."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as how
from hypothesis import stateful
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from lab import Nobody
from queue_model import CORRECTIONS, ENDINGS, SUBJECTS, Devices, Model, Process

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import hands, plan, prune, repair, worker
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.outcome import read_result
from iblvideo_admin.queue.states import ENDED, TRANSITIONS, Started
from iblvideo_admin.queue.stopping import Stop
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

who = st.integers(0, 1)
subject = st.sampled_from(SUBJECTS)


class Machine(stateful.RuleBasedStateMachine):
    """People use either ledger; two workers use one each."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[int, Model] = {}
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.settings = Settings(
            state_dir=self.folder / "state", lock_dir=self.folder / "locks", scratch_dir=self.folder,
            subjects_dir=self.folder, retry_wait_s=0.0, min_free_gb=0.0,
        )  # fmt: skip
        self.settings.lock_dir.mkdir()
        self.held = False
        self.workers: dict[int, worker.Worker] = {}
        self.ledgers = [Ledger(self.settings.state_dir) for _ in range(2)]

    def teardown(self) -> None:
        self.end_all()
        shutil.rmtree(self.folder)

    def end_all(self) -> None:
        for process in list(Process.alive.values()):
            process.ends("signal")
        for number in list(self.workers):
            self.kill_worker(number)
        for ledger in self.ledgers:
            ledger.close()

    # ------------------------------------------------------------------------------------ people
    def video(self, name: str) -> Video:
        return Video(self.folder / name / "2026-01-15/001", CAMERAS["left"])

    def job(self, number: int, name: str) -> tuple[int, Model] | None:
        found = self.ledgers[number].job_of(self.video(name))
        return None if found is None else (found.id, self.models[found.id])

    def tries(self, number: int, name: str, what: Any, *statuses: str) -> Model | None:
        """Do it; it must be refused where the job is not of these statuses."""
        if (found := self.job(number, name)) is None:
            return None
        job, model = found
        if model.status in statuses:
            what(self.ledgers[number], job)
            return model
        with pytest.raises(UserError) as caught:
            what(self.ledgers[number], job)
        assert caught.value.code == "queue.not_possible"
        return None

    @initialize()
    def there_are_jobs(self) -> None:
        for name in SUBJECTS:
            self.add(0, name, 10, overwrite=False, named=True)

    @rule(number=who, name=subject, times=st.sampled_from([1, 10]), overwrite=st.booleans(), named=st.booleans())
    def add(self, number: int, name: str, times: int, overwrite: bool, named: bool) -> None:
        jobs = plan.enter([self.video(name)] * times, self.ledgers[number], overwrite=overwrite, named=named)
        assert len({job.id for job in jobs}) == 1
        model = self.models.setdefault(jobs[0].id, Model())
        # there is no table in this lab: what is Complete is made again
        if model.status == "Complete" or (named and model.status in ("Errored", "Abandoned")):
            model.anew()

    @rule(number=who, name=subject, until=st.sampled_from([0.0, 1.0, 4e9]))
    def hold(self, number: int, name: str, until: float) -> None:
        held = self.tries(number, name, lambda ledger, job: hands.hold(ledger, job, "", until), "Waiting")
        if held is not None:
            held.becomes("Held")
            held.until = until

    @rule(number=who, name=subject)
    def release(self, number: int, name: str) -> None:
        if (model := self.tries(number, name, hands.release, "Held")) is not None:
            model.becomes("Waiting")
            model.deaths, model.until = 0, 0.0

    @precondition(lambda self: any(model.until for model in self.models.values()))
    @rule(number=who)
    def release_overdue(self, number: int) -> None:
        hands.release_overdue(self.ledgers[number])
        for model in self.models.values():
            if model.status == "Held" and model.until == 1.0:
                model.becomes("Waiting")
                model.until = 0.0

    @rule(number=who, held=st.sampled_from([False, False, False, True]), until=st.sampled_from([0.0, 1.0, 4e9]))
    def hold_all(self, number: int, held: bool, until: float) -> None:
        self.ledgers[number].hold(held, "", until)
        self.held = held and until != 1.0

    @rule(number=who, name=subject)
    def cancel(self, number: int, name: str) -> None:
        model = self.tries(number, name, hands.cancel, "Waiting", "Held", "Started", "Errored", "Abandoned")
        if model is not None and model.status == "Started":
            model.wish = "cancel"
        elif model is not None:
            model.becomes("Abandoned")
            model.until = 0.0

    @rule(number=who, name=subject)
    def retry(self, number: int, name: str) -> None:
        model = self.tries(number, name, hands.retry, "Errored", "Abandoned", "Waiting")
        if model is not None and model.status != "Waiting":
            model.anew()

    @rule(number=who, name=subject)
    def acknowledge(self, number: int, name: str) -> None:
        self.tries(number, name, hands.acknowledge, "Errored", "Held")

    @rule(number=who, name=subject, value=st.integers(-2, 2))
    def priority(self, number: int, name: str, value: int) -> None:
        if model := self.tries(number, name, lambda led, job: hands.priority(led, job, value), *TRANSITIONS):
            model.priority = value

    @rule(number=who)
    def prune(self, number: int) -> None:
        for job in prune.prune(self.ledgers[number], 0.0):
            assert self.models[job.id].status in ENDED
        for model in self.models.values():
            model.pruned |= model.status in ENDED

    # ------------------------------------------------------------------------------------ workers
    @rule(number=who)
    def turn(self, number: int) -> None:
        """One look of a worker, which is started where it is not there."""
        if number not in self.workers:
            ledger = self.ledgers[number]
            self.workers[number] = worker.Worker(ledger, self.settings, Nobody(), Stop(), patient=True)
        working = self.workers[number]
        self.orphans_settle(working)
        for slot in working.running():
            assert slot.job is not None
            if (model := self.models[slot.job.id]).ending:
                model.settles(owned=True)
        waiting = {n for n, model in self.models.items() if model.status == "Waiting"}
        working.turn()
        assert working.trouble == ""
        started = {n for n in waiting if self.ledgers[number].job(n).state.status == "Started"}
        assert not (started and self.held), "started while the queue is held"
        for n in started:
            self.models[n].becomes("Started")
        first = sorted(waiting, key=lambda n: (-self.models[n].priority, n))[: len(started)]
        assert started == set(first), "another one's turn it was"

    @rule(
        number=who,
        endings=st.lists(st.sampled_from([*ENDINGS, "signal"]), min_size=1, max_size=5),
        settled=st.booleans(),
    )
    def jobs_run(self, number: int, endings: list[str], settled: bool) -> None:
        """Each from a worker's look to its process's end; the last one perhaps to the look that sees it."""
        for ending in endings:
            self.turn(number)
            self.process_ends(ending)
        if settled:
            self.turn(number)

    @precondition(lambda _: Process.alive)
    @rule(ending=st.sampled_from(ENDINGS))
    def process_ends(self, ending: str) -> None:
        """The one that runs for the longest time."""
        for process in list(Process.alive.values())[:1]:
            process.ends(ending)
            self.models[int(process.paths.folder.name)].ending = ending

    @precondition(lambda self: self.workers)
    @rule(number=who)
    def kill_worker(self, number: int) -> None:
        """Its locks end with it; its jobs' processes go on."""
        if (working := self.workers.pop(number, None)) is not None:
            for slot in working.slots.values():
                slot.lease.release()

    @precondition(lambda self: self.workers)
    @rule(number=who)
    def stop_worker(self, number: int) -> None:
        """Whatever runs there goes back to the queue, and costs nothing."""
        if (working := self.workers.pop(number, None)) is None:
            return
        for slot in working.running():
            assert slot.job is not None
            self.models[slot.job.id].settles(owned=False)
        working.leave("stopped")

    def orphans_settle(self, looker: worker.Worker | None = None) -> None:
        """Whose worker was killed and whose process is gone: entered, at nobody's cost.

        Where another worker is at the job's device by now, that one does it.
        """
        taken = {key for w in self.workers.values() if w is not looker for key in w.slots}
        owned = {slot.job.id for w in self.workers.values() for slot in w.running() if slot.job is not None}
        for number, model in self.models.items():
            state, folder = self.ledgers[0].job(number).state, self.ledgers[0].paths(number).folder
            elsewhere = number in owned or (isinstance(state, Started) and state.device in taken)
            if model.status == "Started" and not elsewhere and folder not in Process.alive:
                model.settles(owned=False)

    @rule(number=who)
    def repair(self, number: int) -> None:
        self.orphans_settle()
        repair.repair(self.ledgers[number], self.settings)
        assert repair.repair(self.ledgers[number], self.settings) == []
        for n, model in self.models.items():
            if model.result and not model.pruned:
                result = read_result(self.ledgers[0].paths(n))
                assert result is not None and result.status == model.result == model.status

    @rule(lost=st.sampled_from([False, False, True]))
    def reopen(self, lost: bool) -> None:
        """Everything ends at once; perhaps the ledger's file is lost, too."""
        self.end_all()
        if lost:
            for path in self.settings.state_dir.glob("ledger.sqlite*"):
                path.unlink()
        opened, _ = repair.open_repaired(self.settings)
        self.ledgers = [opened, Ledger(self.settings.state_dir)]
        if not lost:
            self.orphans_settle()
            return
        folders = {n for n, model in self.models.items() if not model.pruned}
        self.held = bool(folders)
        self.models = {n: model for n, model in self.models.items() if n in folders}
        for model in self.models.values():
            model.is_entered_from_its_folder()

    # ------------------------------------------------------------------------------------ always
    @invariant()
    def the_rows_are_what_they_must_be(self) -> None:
        jobs = self.ledgers[1].jobs()
        rows = {j.id: (j.state.status, j.attempts, j.deaths, j.wish, j.priority, j.pruned is not None) for j in jobs}
        must = {n: (m.status, m.attempts, m.deaths, m.wish, m.priority, m.pruned) for n, m in self.models.items()}
        assert rows == must, f"{rows} and not {must}"
        statuses = [status for status, *_ in rows.values()]
        assert self.ledgers[0].counts() == {status: statuses.count(status) for status in TRANSITIONS}
        assert len({job.video for job in jobs}) == len(jobs)
        devices = [j.state.device for j in jobs if isinstance(j.state, Started) and not self.models[j.id].ending]
        assert len(devices) == len(set(devices))
        assert (self.ledgers[1].hold_now() is not None) == self.held

    @invariant()
    def every_change_was_allowed(self) -> None:
        for number in self.models:
            events = self.ledgers[0].events(number)
            assert events[0].why == "added"
            for before, after in itertools.pairwise(events):
                assert after.status in TRANSITIONS[before.status] or after.why in CORRECTIONS, (before, after)


def run(monkeypatch: pytest.MonkeyPatch, examples: int, steps: int, *, derandomize: bool) -> None:
    Model.seen.clear()
    monkeypatch.setattr(worker, "Child", Process)
    monkeypatch.setattr(worker, "Look", Devices)
    for name in ("_DEVICES_EVERY_S", "_FRESH_S", "_ORPHANS_EVERY_S"):
        monkeypatch.setattr(worker, name, -1.0)
    options = how(max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=derandomize)
    stateful.run_state_machine_as_test(Machine, settings=options)


def test_the_queue_is_what_the_model_says(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, 30, 40, derandomize=True)
    seen = " ".join(ending for ending, _ in Model.seen)
    assert [ending for ending in ENDINGS if ending not in seen] == [], "too few steps lead anywhere"


@pytest.mark.full
def test_the_queue_is_what_the_model_says_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, 600, 60, derandomize=False)
