"""Render a session folder: the cameras' raw videos and, outside ``alf``, the truth about them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..rigs import CAMERAS, Camera
from .difficulty import COMPRESSION, DEMO_SEED
from .scenes import Points, View, table_columns
from .video import VideoWriter, publish

Progress = Callable[[str, int, int], None]
Job = tuple[Path, str, float, int, float]  # render_camera's arguments before the last

_WORKERS = 2
_REPORT_EVERY = 10
_MEGAPIXELS = 1e6


def _silent(camera: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def truth_path(session: Path, camera: str) -> Path:
    """Where a camera's truth lies in a rendered session."""
    return session / "demo_truth" / f"{camera}Camera.truth.pqt"


def video_path(session: Path, camera: str) -> Path:
    """Where a camera's raw video lies in a session."""
    return session / "raw_video_data" / CAMERAS[camera].raw_name


def frame_count(seconds: float, rate: float) -> int:
    """Frames in a video of this length, at least one."""
    return max(1, round(seconds * rate))


def render_session(
    session: Path,
    cameras: Sequence[str] = ("left", "right", "body"),
    seconds: float = 10.0,
    seed: int = DEMO_SEED,
    rates: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> None:
    """Render ``cameras`` into ``session``, two at a time, ``seconds`` each.

    ``rates`` replaces the frame rate (Hz) of the cameras that it names.  ``progress`` is called in this process
    with the camera's name, the frames done and the frames in all.  A camera whose video and truth are there
    already, of the same seed, rate and length, is left as it is.  Several cameras are rendered in new processes:
    call this below ``if __name__ == "__main__"`` in a script.
    """
    if seconds <= 0:
        raise ValueError(f"a video cannot be {seconds} seconds long")
    chosen = {name: float((rates or {}).get(name, CAMERAS[name].rates[0])) for name in dict.fromkeys(cameras)}
    report = progress or _silent
    missing = []
    for name, rate in chosen.items():
        count = frame_count(seconds, rate)
        if is_rendered(session, name, seed, rate, count):
            report(name, count, count)
        else:
            missing.append(name)

    def work(name: str) -> float:
        camera = CAMERAS[name]
        return chosen[name] * camera.width * camera.height / _MEGAPIXELS

    jobs = [(session, name, seconds, seed, chosen[name]) for name in sorted(missing, key=work, reverse=True)]
    if len(jobs) == 1:
        render_camera(*jobs[0], report)
    elif jobs:
        _render_side_by_side(jobs, report)


def is_rendered(session: Path, camera: str, seed: int, rate: float, count: int) -> bool:
    """Whether a camera's video and truth are there and are those of this seed, rate (Hz) and number of frames."""
    video, truth = video_path(session, camera), truth_path(session, camera)
    if not (video.is_file() and truth.is_file()):
        return False
    try:
        known = pq.read_metadata(truth)
        with av.open(str(video)) as container:
            frames = container.streams.video[0].frames
    except (OSError, pa.ArrowInvalid, av.error.FFmpegError):
        return False
    stored = known.metadata or {}
    same = (stored.get(b"seed"), stored.get(b"fps")) == (str(seed).encode(), str(float(rate)).encode())
    return same and known.num_rows == count == frames


def render_camera(session: Path, name: str, seconds: float, seed: int, rate: float, progress: Progress) -> None:
    """Render one camera's video and truth in this process; the truth appears after the video."""
    camera, count = CAMERAS[name], frame_count(seconds, rate)
    video, truth = video_path(session, name), truth_path(session, name)
    for folder in (video.parent, truth.parent):
        folder.mkdir(parents=True, exist_ok=True)
    truth.unlink(missing_ok=True)
    view = View(camera, seed)
    motion = view.motion(np.arange(count) / rate)
    with VideoWriter(video, camera.width, camera.height, rate, COMPRESSION.crf, COMPRESSION.preset) as writer:
        for index in range(count):
            writer.write(view.frame(motion, index))
            if (index + 1) % _REPORT_EVERY == 0 and index + 1 < count:
                progress(name, index + 1, count)
    _write_truth(truth, view.truth(motion), seed, rate)
    progress(name, count, count)


def read_truth(session: Path, camera: Camera) -> tuple[Points, dict[str, str]]:
    """A camera's truth: every point's (n, 2) in raw pixels, and the table's metadata (seed and fps)."""
    table = pq.read_table(truth_path(session, camera.name))
    points = {
        name: np.stack([table[f"{name}_x"].to_numpy(), table[f"{name}_y"].to_numpy()], axis=1) for name in camera.points
    }
    metadata = table.schema.metadata or {}
    return points, {key.decode(): value.decode() for key, value in metadata.items()}


def _write_truth(path: Path, points: Points, seed: int, rate: float) -> None:
    metadata = {"seed": str(seed), "fps": str(float(rate))}
    table = pa.table(table_columns(points)).replace_schema_metadata(metadata)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        pq.write_table(table, part)
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def _work(job: Job, sender: Any) -> None:
    """Render one camera in a process of its own; ``sender`` takes its progress and at last its failure, if any."""
    try:
        render_camera(*job, lambda *message: sender.send(message))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells it
        sender.send(f"{type(error).__name__}: {error}")


def _render_side_by_side(jobs: Sequence[Job], report: Progress) -> None:
    context, lock = multiprocessing.get_context("spawn"), threading.Lock()

    def follow(job: Job) -> None:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job, sender), name=f"render {job[1]}")
        process.start()
        sender.close()
        failure: str | None = None
        with contextlib.suppress(EOFError):
            while True:
                message = receiver.recv()
                if isinstance(message, str):
                    failure = message
                else:
                    with lock:
                        report(*message)
        process.join()
        if failure or process.exitcode:
            raise RuntimeError(f"rendering the {job[1]} camera failed: {failure or f'exit code {process.exitcode}'}")

    with ThreadPoolExecutor(_WORKERS) as pool:
        for done in [pool.submit(follow, job) for job in jobs]:
            done.result()
