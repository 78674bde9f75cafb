"""Ctrl-C and SIGTERM, whatever the job is doing: an end within seconds, a whole table or none, nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lab import Lab, until

from iblvideo_admin.demo.session import render_session
from iblvideo_admin.queue.job import JobPaths, Request
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

WEIGHTS = Path(__file__).resolve().parents[2] / "iblvideo_admin/demo/weights"
END_LIMIT_S = 3.0


def processes_of(lab: Lab) -> list[str]:
    """The command lines of all processes that have this lab's folders in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            zombie = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if os.fsencode(f"IBLVIDEO_ADMIN_STATE_DIR={lab.folder / 'state'}\0") in environment and not zombie:
            found.append(command.replace("\0", " "))
    return found


def nothing_half_done(video: Video) -> bool:
    """No file of this video but a whole table with its provenance."""
    left = sorted(str(path.relative_to(video.alf)) for path in video.alf.rglob("*") if path.is_file())
    if not video.table.exists():
        return left == []
    whole = pq.read_table(video.table).num_rows > 0
    return whole and left == sorted([".iblvideo-admin/" + video.provenance.name, video.table.name])


@pytest.mark.parametrize(
    ("stage", "how"),
    [
        ("tracking", signal.SIGINT),
        pytest.param("starting", signal.SIGTERM, marks=pytest.mark.full),
        pytest.param("regions", signal.SIGINT, marks=pytest.mark.full),
        pytest.param("tracking", signal.SIGTERM, marks=pytest.mark.full),
    ],
)
@pytest.mark.timeout(600)
def test_the_real_engine_is_interrupted(lab: Lab, dlc_python: Path, stage: str, how: signal.Signals) -> None:
    lab.environment |= {"IBLVIDEO_ADMIN_DLC_PYTHON": str(dlc_python), "IBLVIDEO_ADMIN_WEIGHTS_DIR": str(WEIGHTS)}
    session = lab.session()
    render_session(session, ["left"], seconds=1.5)
    paths = JobPaths(lab.folder / "state/jobs/000001")
    with lab.start("process", session, "--json") as process:
        until(lambda: (paths.read_progress() or {}).get("stage") == stage, 300)
        time.sleep(0.5)
        begun = time.monotonic()
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    took = time.monotonic() - begun
    assert took < END_LIMIT_S
    assert process.returncode == 130 and json.loads(out)["errors"][0]["code"] == "interrupted"
    assert "Traceback" not in err
    assert nothing_half_done(Video(session, CAMERAS["left"]))
    until(lambda: not processes_of(lab), 2)
    assert [job["status"] for job in lab.json("queue", "list")["data"]["jobs"]] == ["Waiting"]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 9))])
def test_a_job_is_interrupted_at_any_moment(lab: Lab, seed: int) -> None:
    """The stand-in's answers come at once, so that the moments fall into every part of a job."""
    video = lab.video("left", frames=90)
    moments = np.random.default_rng(seed)
    for number in range(6):
        paths = JobPaths(lab.folder / f"state/jobs/{number + 1:06}")
        paths.folder.mkdir(parents=True)
        paths.write_request(Request(str(video.path)))
        video.table.unlink(missing_ok=True)
        video.provenance.unlink(missing_ok=True)
        with lab.start("run-job", paths.folder, "--json") as process:
            time.sleep(moments.uniform(0.3, 2.0))
            begun = time.monotonic()
            process.send_signal(signal.Signals(int(moments.choice([signal.SIGTERM, signal.SIGINT]))))
            out, err = process.communicate(timeout=30)
        assert time.monotonic() - begun < END_LIMIT_S
        # before our handler stands, Python's own answer to the signal is the end
        assert "Traceback" not in err or process.returncode == -signal.SIGINT, err
        assert process.returncode in {0, 75, 130, -signal.SIGTERM, -signal.SIGINT}, out
        assert nothing_half_done(video)
        assert paths.result.exists() == video.table.exists()
        until(lambda: not processes_of(lab), 2)
