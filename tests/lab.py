"""A lab server in a folder: subjects, videos, weights, configuration, and the command line on it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml
from warm import warm

from iblvideo_admin import settings
from iblvideo_admin.queue.job import Request
from iblvideo_admin.queue.ledger import Job, Ledger
from iblvideo_admin.queue.orphans import Orphans
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video

ROOT = Path(__file__).resolve().parent.parent
STAND_INS = Path(__file__).parent / "stand_ins"
LIMIT_S = 120


class Lab:
    """Everything below ``folder``; no test touches anything else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.subjects = folder / "Subjects"
        self.subjects.mkdir()
        self.weights = make_weights(folder / "weights_v9.9")
        self.python = folder / "python3.7"
        self.python.write_text(
            f'#!/bin/sh\n[ "$1" = -u ] && shift\n'
            f'PYTHONPATH="{ROOT}" exec "{sys.executable}" "{STAND_INS / "python37.py"}" "$@"\n'
        )
        self.python.chmod(0o755)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
            "IBLVIDEO_ADMIN_SUBJECTS_DIR": str(self.subjects),
            "IBLVIDEO_ADMIN_STATE_DIR": str(folder / "state"),
            "IBLVIDEO_ADMIN_SCRATCH_DIR": str(folder / "scratch"),
            "IBLVIDEO_ADMIN_LOCK_DIR": str(folder / "locks"),
            "IBLVIDEO_ADMIN_WEIGHTS_DIR": str(self.weights),
            "IBLVIDEO_ADMIN_DLC_PYTHON": str(self.python),
            "IBLVIDEO_ADMIN_TOOLCHAIN": "dlc-tf1-cpu",
            "IBLVIDEO_ADMIN_RETRY_WAIT_S": "0.1",
            "IBLVIDEO_ADMIN_REST_S": "0",
            "IBLVIDEO_ADMIN_MIN_FREE_GB": "0.01",
        }

    def session(self, subject: str = "KS001", date: str = "2026-01-15", number: str = "001") -> Path:
        """A session's folder with its raw_video_data."""
        session = self.subjects / subject / date / number
        (session / "raw_video_data").mkdir(parents=True, exist_ok=True)
        return session

    def video(self, camera: str = "body", frames: int = 8, session: Path | None = None, **options: Any) -> Video:
        """A raw video of the camera's own size."""
        video = Video(session or self.session(), CAMERAS[camera])
        write_video(video.path, video.camera.width, video.camera.height, frames, **options)
        return video

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "iblvideo_admin", *map(str, arguments)],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: str | Path, limit_s: float = LIMIT_S, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; it must end, and no trace may be seen."""
        whole = {**self.environment, **environment}
        if whole["PYTHONPATH"] == str(ROOT) and not any(name.startswith("LD_") for name in whole):
            done = warm(ROOT).run([str(argument) for argument in arguments], whole, limit_s)
        else:
            with self.start(*arguments, **environment) as process:
                out, err = process.communicate(timeout=limit_s)
            done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str | Path, limit_s: float = LIMIT_S, **environment: str) -> dict[str, Any]:
        """Run a command with ``--json``; standard output must be one document that fits the exit status."""
        done = self.run(*arguments, "--json", limit_s=limit_s, **environment)
        document = json.loads(done.stdout)
        assert document["schema"] == 1
        assert document["exit_code"] == done.returncode
        assert all(problem["code"] and problem["message"] for problem in document["errors"])
        return document


def write_video(path: Path, width: int, height: int, frames: int, rate: int = 30, **options: Any) -> None:
    """Frames with a slow gradient, H.264, yuv420p."""
    ramp = np.add.outer(np.arange(height), np.arange(width)) // 8
    with av.open(str(path), "w", format="mp4", options=options.pop("container", {})) as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", **options})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(((ramp + index) % 200 + 20).astype(np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make_weights(folder: Path) -> Path:
    """A weights folder in the IBL's layout, its snapshots without content."""
    for network in NETWORKS.values():
        task = network.folder.split("-")[0]
        project = folder / network.folder.replace("*", "mic-2020-01-01").replace("mic-mic", "mic")
        model = project / "dlc-models/iteration-0" / f"{task}Jan1-trainset95shuffle1"
        for part in ("train", "test"):
            (model / part).mkdir(parents=True)
        config = {"Task": task, "date": "Jan1", "iteration": 0, "TrainingFraction": [0.95], "snapshotindex": -1}
        config["batch_size"] = 4
        (project / "config.yaml").write_text(yaml.safe_dump(config))
        pose = {"all_joints_names": list(network.points), "net_type": "stand-in"}
        (model / "test/pose_cfg.yaml").write_text(yaml.safe_dump(pose))
        (model / "train/snapshot-5.index").write_bytes(b"index")
        (model / "train/snapshot-5.data-00000-of-00001").write_bytes(b"data")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Nobody:
    def started(self, job: Job) -> None: ...

    def progress(self, job: Job, progress: dict) -> None: ...

    def ended(self, job: Job) -> None: ...

    def note(self, text: str) -> None: ...

    def idle(self, reason: str) -> None: ...


def add_job(ledger: Ledger, subject: str = "KS001", camera: str = "left") -> Job:
    video = Video(Path("/data/Subjects") / subject / "2026-01-15/001", CAMERAS[camera])
    return ledger.add(video, Request(str(video.path)))


def until(what: Callable[[], object], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def statuses(lab: Lab) -> list[str]:
    """Read beside our own code, and as soon as there is a ledger."""
    path = lab.folder / "state/ledger.sqlite"
    if not path.exists():
        return []
    db = sqlite3.connect(path)
    try:
        return [status for (status,) in db.execute("SELECT status FROM jobs ORDER BY id")]
    except sqlite3.OperationalError:  # not made yet
        return []
    finally:
        db.close()


def sleeper(lab: Lab) -> dict[str, str]:
    """A toolchain whose engine never answers."""
    slow = lab.folder / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    return {"IBLVIDEO_ADMIN_DLC_PYTHON": str(slow)}


def recover(ledger: Ledger, retry_wait_s: float = 0.0) -> None:
    """What a worker that starts does with the jobs of one that was killed."""
    Orphans(ledger, settings.Settings(retry_wait_s=retry_wait_s), lambda _: False).look()
