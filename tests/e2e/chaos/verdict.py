"""What must be true at the end, whatever happened."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
from e2e.chaos.crew import Crew
from e2e.chaos.place import Place, Wish

from iblvideo_admin.queue.lease import is_taken
from iblvideo_admin.tracking.table import provenance_of

# what the chaos itself may bring upon a job so often that it is given up
BY_CHAOS = frozenset({"engine.crashed", "engine.timeout", "job.died", "job.stuck", "output.not_writable"})


class Verdict:
    """Looks at a lab of which every job shall be done."""

    def __init__(self, place: Place, crew: Crew) -> None:
        self._place, self._crew = place, crew
        self.by_hand: Counter[str] = Counter()

    @property
    def _damaged(self) -> dict[str, str]:
        """Of every video the code that must come of it."""
        return {str(wish.video.path): wish.code for wish in self._place.wishes}

    def so_far(self) -> str:
        """How far the jobs are."""
        statuses = Counter(status for (status,) in self._place.rows("SELECT status FROM jobs"))
        journal = self._place.journal / "journal"
        engines = journal.read_text().count("start ") if journal.exists() else 0
        return f"{dict(statuses)}, {engines} engines started"

    def drain(self, limit_s: float) -> None:
        """Wait until every job has ended; what the chaos itself has brought down is tried again, as a person would."""
        until = time.monotonic() + limit_s
        while True:
            self._crew.keep()
            jobs = [(n, video, json.loads(s)) for n, video, s in self._place.rows("SELECT id, video, state FROM jobs")]
            again = [n for n, video, state in jobs if self._is_by_chaos(video, state)]
            held = [n for n, _, state in jobs if state["status"] == "Held" and state["code"] == "job.died"]
            if again:
                self._ask("retry", *again)
            for number in held:
                self._ask("release", number)
            open_ = [(n, state) for n, _, state in jobs if state["status"] in ("Waiting", "Started", "Held")]
            unknown = self._damaged.keys() - {video for _, video, _ in jobs}
            if not (again or open_ or unknown):
                return
            assert time.monotonic() < until, (open_, unknown, [str(process) for process in self._place.living()])
            time.sleep(0.3)

    def _is_by_chaos(self, video: str, state: dict[str, Any]) -> bool:
        return state["status"] == "Errored" and state["code"] in BY_CHAOS - {self._damaged[video]}

    def _ask(self, what: str, *numbers: int) -> None:
        done = self._place.lab.json("queue", what, *map(str, numbers))
        assert done["exit_code"] == 0, done
        self.by_hand[what] += len(numbers)

    def pronounce(self) -> None:
        """Everything; the workers have ended."""
        assert not self._place.living()
        if (self._place.journal / "journal").exists():  # the real engine writes none
            self._nobody_met_another()
        rows = self._place.rows("SELECT id, video, state FROM jobs ORDER BY id")
        assert sorted(video for _, video, _ in rows) == sorted(self._damaged)
        of = {video: (number, json.loads(state)) for number, video, state in rows}
        for wish in self._place.wishes:
            self._is_right(wish, *of[str(wish.video.path)])
        self._nothing_left()
        self._ledger_is_the_folders()
        self._no_trace()

    def _nobody_met_another(self) -> None:
        lines = (self._place.journal / "journal").read_text().splitlines()
        assert not [line for line in lines if line.startswith("CLASH") or " unknown " in line]
        assert len([line for line in lines if line.startswith("start")]) >= sum(not w.code for w in self._place.wishes)

    def _is_right(self, wish: Wish, number: int, state: dict[str, Any]) -> None:
        video, folder = wish.video, self._place.state_dir / f"jobs/{number:06}"
        result = json.loads((folder / "result.json").read_text())
        assert (result["status"], result["code"]) == (state["status"], state.get("code", "")), (number, state, result)
        completed = self._place.rows(f"SELECT count(*) FROM events WHERE job = {number} AND status = 'Complete'")
        if wish.code:
            assert (state["status"], state["code"]) == ("Errored", wish.code), (number, state)
            assert completed == [(0,)] and not video.table.exists()
            return
        assert state["status"] == "Complete" and completed == [(1,)], (number, state, completed)
        table = pq.read_table(video.table)
        assert table.num_rows == wish.frames == state["frames"]
        token = json.loads((folder / "job.json").read_text())["token"]
        made = provenance_of(video.table)
        assert made is not None and made["job"] == {"folder": folder.name, "token": token}
        readable = json.loads(video.provenance.read_text())
        assert readable["job"] == made["job"] and readable["table"]["sha256"] == state["sha256"] == result["sha256"]
        # a second delivery of one wish would have kept the first one's table
        name = f"{video.table.stem.replace('.', '-')}.pqt"
        kept = {path.read_bytes() for path in (video.work / "replaced").glob(f"*/{name}")}
        assert kept == (set() if wish.old is None else {wish.old}), number

    def _nothing_left(self) -> None:
        folders = [self._place.lab.subjects, self._place.state_dir / "jobs"]
        names = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        left = [path for path in names if path.suffix == ".tmp" or path.name.startswith((".removed", "filler"))]
        assert not left, left
        for work in {wish.video.work for wish in self._place.wishes}:
            usual = {wish.video.provenance for wish in self._place.wishes} | {work / "replaced"}
            assert set(work.glob("*")) <= usual, sorted(work.iterdir())
        locks = [*(self._place.lab.folder / "locks").iterdir(), *self._place.state_dir.rglob("*lock")]
        assert not [path for path in locks if is_taken(path)]

    def _ledger_is_the_folders(self) -> None:
        repaired = self._place.lab.json("queue", "repair")
        assert repaired["exit_code"] == 0 and repaired["data"]["changes"] == [], repaired

    def _no_trace(self) -> None:
        """Of the workers; an engine whose job has died may well say so in the job's log."""
        traces = {path: text for path, text in self._crew.logs().items() if "Traceback" in text}
        assert not traces, next(iter(traces.items()))
