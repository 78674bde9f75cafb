"""What a job hands on to the tracking."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from lab import Lab

from iblvideo_admin.queue.job import JobPaths, Request
from iblvideo_admin.queue.outcome import read_result
from iblvideo_admin.tracking import table


def test_even_offsets_are_a_setting(lab: Lab) -> None:
    video = lab.video()
    lab.environment["IBLVIDEO_ADMIN_EVEN_OFFSETS"] = "true"
    assert lab.json("process", str(video.path))["exit_code"] == 0
    provenance = table.provenance_of(video.table)
    assert provenance is not None and provenance["even_offsets"] is True


SIGNALLED = """
import os, sys
from iblvideo_admin import cli
from iblvideo_admin.tracking import table

put = table._put

def signalled(*names):
    os.kill(os.getpid(), int(sys.argv[2]))
    return put(*names)

table._put = signalled
sys.exit(cli.main(["run-job", sys.argv[1]]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_table_in_its_place_has_its_result(lab: Lab, number: signal.Signals) -> None:
    """Interrupted at that moment, the job still says what it did: nobody finds a table of which nothing is known."""
    video = lab.video()
    paths = JobPaths(lab.folder / "state/jobs/000001")
    paths.folder.mkdir(parents=True)
    paths.write_request(Request(str(video.path)))
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, paths.folder, str(int(number))],
        env=lab.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    result = read_result(paths)
    assert video.table.exists() and result is not None, done.stderr
    assert (done.returncode, result.status, result.frames) == (0, "Complete", 8)
