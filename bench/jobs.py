"""What a long queue costs: ten jobs against ten thousand, and what the worker adds to each job.

``python -m bench jobs``.  The jobs' folders are real, their videos empty files: a job then costs its own process's
start and nothing else, and what ``process`` takes beyond that is the queue's own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Row
from iblvideo_admin.queue.job import Request, job_folder
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.states import Started
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

FEW, MANY, RUNS = 10, 10_000, 5
RUN_JOBS = 6
TARGET_S = 0.2
WEIGHTS = Path(__file__).resolve().parent.parent / "iblvideo_admin/demo/weights"


class Server:
    """A lab server in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.subjects = folder, folder / "state", folder / "Subjects"
        self.subjects.mkdir(parents=True)
        settings = {
            "SUBJECTS_DIR": self.subjects, "STATE_DIR": self.state, "SCRATCH_DIR": folder / "scratch",
            "LOCK_DIR": folder / "locks", "WEIGHTS_DIR": WEIGHTS, "TOOLCHAIN": "dlc-tf1-cpu",
            "DLC_PYTHON": sys.executable, "REST_S": 0,
        }  # fmt: skip
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            **{f"IBLVIDEO_ADMIN_{name}": str(value) for name, value in settings.items()},
        }

    def run(self, *words: str | Path) -> float:
        """Seconds that a command takes; whether it fails does not matter."""
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "iblvideo_admin", *map(str, words)],
            env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return time.monotonic() - begun

    def video(self, number: int) -> Video:
        """The empty video of a session of its own."""
        video = Video(self.subjects / f"KS{number % 100:03}" / "2026-01-15" / f"{number // 100:03}", CAMERAS["left"])
        video.path.parent.mkdir(parents=True)
        video.path.touch()
        return video

    def fill(self, jobs: int) -> None:
        """Jobs of which every second is Complete with its table, as after months of work."""
        with Ledger(self.state) as ledger, ledger.transaction():
            for number in range(1, jobs + 1):
                video, is_done = self.video(number), number % 2 == 0
                state = {"since": float(number), "status": "Complete" if is_done else "Waiting"}
                if is_done:
                    state |= {"frames": 1000, "seconds": 50.0}
                    video.alf.mkdir()
                    video.table.touch()
                ledger._db.execute(  # noqa: SLF001  one by one it would take a quarter of an hour
                    "INSERT INTO jobs (video, subject, date, number, camera, created, since, status, state)"
                    " VALUES (?, ?, ?, ?, 'left', 0, ?, ?, ?)",
                    (str(video.path), video.subject, video.date, video.number, state["since"], state["status"],
                     json.dumps(state)),
                )  # fmt: skip
                paths = job_folder(self.state, number)
                paths.folder.mkdir(parents=True)
                paths.request.write_text(json.dumps(vars(Request(str(video.path)))), encoding="utf-8")
                if is_done:
                    result = {"status": "Complete", "started": 0.0, "ended": 50.0, "frames": 1000, "fps": 20.0}
                    paths.result.write_text(json.dumps(result), encoding="utf-8")

    def claim(self) -> float:
        """Seconds in which the next job is found and started."""
        with Ledger(self.state) as ledger:
            begun = time.monotonic()
            job = ledger.next(time.time())
            assert job is not None
            assert ledger.claim(job.id, Started(time.time())) is not None
            return time.monotonic() - begun


def rows() -> list[Row]:
    """The targets of a long queue."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = Server(Path(folder) / "few"), Server(Path(folder) / "many")
        few.fill(FEW)
        many.fill(MANY)
        asked: dict[str, Callable[[Server], float]] = {
            "`queue list --limit 50`": lambda server: server.run("queue", "list", "--limit", "50", "--json"),
            "`status`": lambda server: server.run("status", "--json"),
            "the claim of the next job": Server.claim,
            "`queue repair` (what every start does)": lambda server: server.run("queue", "repair", "--json"),
            "`process --dry-run` (a scan)": lambda server: server.run("process", "--dry-run", "--json"),
        }
        found = [_against(name, ask, few, many) for name, ask in asked.items()]
        return [*found, _overhead(Server(Path(folder) / "work"))]


def _against(name: str, ask: Callable[[Server], float], few: Server, many: Server) -> Row:
    """Taken in turns, so that a busy moment hits both."""
    times = [(ask(few), ask(many)) for _ in range(RUNS)]
    small, large = (statistics.median(column) for column in zip(*times, strict=True))
    target = f"<= {TARGET_S} s more" if "repair" not in name and "dry-run" not in name else ""
    figures = f"{FEW} jobs {small:.3f} s, {MANY} jobs {large:.3f} s, median of {RUNS}"
    return Row(f"{name} with {MANY} jobs against {FEW}", f"{large - small:+.3f} s", target, figures)


def _overhead(server: Server) -> Row:
    """Each job alone, then all of them by `process`."""
    for number in range(RUN_JOBS):
        server.video(number)
    server.run("queue", "add", server.subjects)
    alone = [server.run("run-job", job_folder(server.state, number + 1).folder) for number in range(RUN_JOBS)]
    for number in range(RUN_JOBS):
        job_folder(server.state, number + 1).result.unlink()
    nothing = server.run("process", "--camera", "right")  # what starting and ending costs without a job
    whole = server.run("process")
    beyond = (whole - nothing - sum(alone)) / RUN_JOBS
    figures = (
        f"{RUN_JOBS} jobs {whole:.1f} s, without one {nothing:.1f} s, a job's own process {sum(alone) / RUN_JOBS:.2f} s"
    )
    return Row("what the worker adds to each job", f"{beyond:.2f} s", "<= 1 s", figures)
