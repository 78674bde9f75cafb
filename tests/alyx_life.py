"""Lives of a server that takes tasks from Alyx, each a process that can be killed: the real drain, and quick jobs.

Run as a script it has imported all that is slow, and forks for each life that it is told of.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Lives:
    """Of the labs in this test process, one after the other."""

    def __init__(self) -> None:
        self.pid = 0
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def live(self, environment: dict[str, str], limit_s: float = 60, **told: Any) -> int:
        """One life; gives its exit status, -9 for one that was killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"environment": environment, "limit_s": limit_s, **told}) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._process.stdout.readline())
        status = int(self._process.stdout.readline())
        self.pid = 0
        return status

    def kill(self) -> None:
        """End the life that is lived now."""
        if (pid := self.pid) > 0:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def kill_in(self, seconds: float) -> None:
        threading.Timer(seconds, self.kill).start()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


# ---------------------------------------------------------------------------------------- in the process itself


def live(told: dict[str, Any]) -> int:
    """Look into Alyx and work, until nothing is left to do: 0; 2 where that takes too long."""
    from iblvideo_admin import settings
    from iblvideo_admin.alyx.book import Book
    from iblvideo_admin.alyx.drain import Drain
    from iblvideo_admin.alyx.trouble import TroubleError
    from iblvideo_admin.queue import repair

    loaded = settings.load(told["environment"])
    ledger, _ = repair.open_repaired(loaded)
    drain = Drain(loaded)
    until = time.monotonic() + told["limit_s"]
    with ledger:
        while time.monotonic() < until:
            try:
                drain.turn(ledger)
                waits = ledger.numbers("Waiting") or Book(ledger, drain.place).waiting()
                if drain.is_over(ledger) and not waits:
                    return 0
                time.sleep(0.05)
            except TroubleError:
                time.sleep(0.05)
            work(ledger, tuple(told.get("corrupt", ())), loaded)
    return 2


def work(ledger: Any, corrupt: tuple[str, ...], loaded: Any) -> None:
    """Every job that waits ends: with a table, or for good where it is ``corrupt`` ("subject camera")."""
    from iblvideo_admin.queue import settle
    from iblvideo_admin.queue.states import Started

    for job in ledger.jobs("Waiting"):
        if ledger.claim(job.id, Started(time.time(), device="cpu")) is None:
            continue
        track(ledger, job, f"{job.subject} {job.camera}" in corrupt)
        settle.ended(ledger, ledger.job(job.id), 0, loaded.retry_wait_s)


def track(ledger: Any, job: Any, is_corrupt: bool) -> None:
    """What a job's process leaves."""
    import numpy as np

    from iblvideo_admin.errors import UserError
    from iblvideo_admin.queue.outcome import JobResult, failed
    from iblvideo_admin.sessions import Video
    from iblvideo_admin.tracking import table

    video, paths = Video.at(Path(job.video)), ledger.paths(job.id)
    paths.log.write_text(f"{job.subject} {job.camera}\n")
    if is_corrupt:
        failed(UserError("video.corrupt", "no video"), time.time()).write(paths)
        return
    table.prepare(video)
    rows = np.full((3, 3), float(job.id))
    block = dict.fromkeys(video.camera.points, rows)
    with suppress(FileExistsError):
        table.deliver(video, [block], {"weights": {"version": "weights_v9.9"}}, replace=False)
    JobResult("Complete", time.time() - 1.5, time.time(), frames=3, fps=2.0).write(paths)


def _serve() -> None:
    for name in ("pyarrow.parquet", "one.registration", "iblvideo_admin.alyx.drain", "iblvideo_admin.alyx.one_client"):
        importlib.import_module(name)

    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 3
            try:
                os.environ.clear()
                os.environ.update(told["environment"])
                status = live(told)
            except BaseException:  # noqa: BLE001  it must not go on as its parent
                traceback.print_exc()
            os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
