"""What the TensorFlow engine costs beside the networks themselves: its start, the main pass, its memory.

The main pass over a left video, with the demo's networks, against the same batches given one after the other to
``session.run`` in a process of the toolchain's Python that does nothing else; in turn, several times, the medians.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from bench import videos
from bench.measure import Row, measured
from bench.passes import ANCHORS, WEIGHTS, NullEngine, batch_sizes
from iblvideo_admin.engines import tensorflow1, weights
from iblvideo_admin.engines.base import Engine
from iblvideo_admin.engines.tensorflow1 import TensorFlow1, sidecar_environment
from iblvideo_admin.rigs import CAMERAS, Camera
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import regions, single_pass
from iblvideo_admin.tracking.pictures import Cutter
from iblvideo_admin.tracking.track import track
from iblvideo_admin.tracking.video import Reader

DLC_PYTHON = Path(__file__).resolve().parent.parent / ".cache/dlc-tf1-cpu/current/bin/python"
FRAMES, TURNS = 320, 3
# answers each line with the wall and CPU seconds of all batches, from memory
REPLAY = """
import glob, json, os, sys, time
import numpy as np
sys.path.insert(0, sys.argv[1])
import tensorflow1_networks
networks = {name: tensorflow1_networks.Network(*files) for name, files in json.loads(sys.argv[2]).items()}
paths = sorted(glob.glob(os.path.join(sys.argv[3], "*.npy")))
batches = [(os.path.basename(path).split("-")[1][:-4], np.load(path)) for path in paths]
for name, images in batches[:8]:
    networks[name].points(images)
print("ready")
for _ in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    for name, images in batches:
        networks[name].points(images)
    print(time.perf_counter() - wall, time.process_time() - cpu)
"""


class Recorder(NullEngine):
    """Keeps the batches, in their order."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._count = folder, 0

    def submit(self, network: str, images: np.ndarray) -> Future[np.ndarray]:
        """Write them to the folder."""
        np.save(self._folder / f"{self._count:06d}-{network}.npy", images)
        self._count += 1
        return super().submit(network, images)


def peak_mb(pid: int) -> float:
    """The most memory that a process has had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) / 1024 if found else 0.0


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def start(turns: int) -> Row:
    """From nothing to the first answer on a whole frame, and to an answer of every network."""
    files = weights.load(WEIGHTS, weights.networks_of(CAMERAS["left"]))
    first, every = [], []
    for _ in range(turns):
        begun = time.perf_counter()
        with open(os.devnull, "wb") as log, TensorFlow1(DLC_PYTHON, log) as engine:
            engine.load(files)
            engine.submit(files[0].name, np.zeros((1, 1024, 1280), np.uint8)).result()
            first.append((time.perf_counter() - begun, cpu_s(engine.pid)))
            answers = [engine.submit(each.name, np.zeros((each.batch_size, 100, 100), np.uint8)) for each in files]
            for answer in answers:
                answer.result()
            every.append((time.perf_counter() - begun, cpu_s(engine.pid)))
    (wall, cpu), (all_wall, all_cpu) = (map(statistics.median, zip(*taken, strict=True)) for taken in (first, every))
    figures = f"{cpu:.1f} CPU s; all five answer after {all_wall:.1f} s, {all_cpu:.1f} CPU s; median of {turns}"
    return Row("start to first batch, TensorFlow, five networks", f"{wall:.1f} s", "<= 10 s", figures)


def main_pass(path: Path, camera: Camera, engine: Engine) -> None:
    """The single pass with windows by hand."""
    reader = Reader(path, camera)
    cutter = Cutter(camera, reader.levels, regions.by_hand(ANCHORS[camera.name], camera).windows)
    single_pass.run(reader, camera, cutter, engine, batch_sizes(camera), lambda _: None)


def against_replay(path: Path, camera: Camera, folder: Path, turns: int) -> Row:
    """The main pass against its batches alone."""
    main_pass(path, camera, Recorder(folder))
    files = weights.load(WEIGHTS, weights.networks_of(camera))
    places = {each.name: [str(each.snapshot), str(each.pose_config)] for each in files}
    engines = str(Path(tensorflow1.__file__).parent)
    command = [str(DLC_PYTHON), "-u", "-c", REPLAY, engines, json.dumps(places), str(folder)]
    passes, replays = [], []
    with (
        open(os.devnull, "wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=sidecar_environment({}), text=True
        ) as replay,
        TensorFlow1(DLC_PYTHON, log) as engine,
    ):
        assert replay.stdin is not None
        assert replay.stdout is not None
        engine.load(files)
        while replay.stdout.readline() != "ready\n":  # DeepLabCut prints, too
            pass
        main_pass(path, camera, engine)  # memory is claimed, graphs are optimised
        for _ in range(turns):
            before = cpu_s(engine.pid)
            cpu, wall = measured(lambda: main_pass(path, camera, engine))
            passes.append((wall, cpu + cpu_s(engine.pid) - before))
            replay.stdin.write("\n")
            replay.stdin.flush()
            wall, cpu = map(float, replay.stdout.readline().split())
            replays.append((wall, cpu))
        replay.stdin.close()
    ratio = statistics.median(ours[0] / alone[0] for ours, alone in zip(passes, replays, strict=True))
    figures = (
        f"{name} {1000 * statistics.median(wall for wall, _ in taken) / FRAMES:.1f} ms a frame, "
        f"{1000 * statistics.median(cpu for _, cpu in taken) / FRAMES:.1f} CPU ms"
        for name, taken in (("pass", passes), ("session.run", replays))
    )
    what = "left: wall time of the main pass against session.run alone on the same batches"
    return Row(what, f"{ratio:.2f}", "<= 1.08", f"{'; '.join(figures)}; {FRAMES} frames, median of {turns}")


def memory(session: Path) -> Row:
    """A whole left video, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.engine", str(session)], check=True, capture_output=True, text=True
    )
    ours, theirs = map(float, done.stdout.split()[-2:])
    figures = f"ours {ours:.0f} MB, TensorFlow's {theirs:.0f} MB, {FRAMES} frames with the region stage"
    what = "left: peak memory, both processes, TensorFlow"
    return Row(what, f"{(ours + theirs) / 1000:.2f} GB", "<= 2.5 GB", figures)


def track_left(session: Path) -> None:
    """Track the session's left video and print the peaks of both processes in MB."""
    with open(os.devnull, "wb") as log, TensorFlow1(DLC_PYTHON, log) as engine:
        track(Video(session, CAMERAS["left"]), engine, WEIGHTS, by_hand=None, replace=True)
        print(peak_mb(os.getpid()), peak_mb(engine.pid))


def rows(turns: int = TURNS) -> list[Row]:
    """Three rows; none without the toolchain, which ``make dlc-venv`` builds."""
    if not DLC_PYTHON.exists():
        return [Row("the TensorFlow engine", "not measured", figures="no toolchain dlc-tf1-cpu: `make dlc-venv`")]
    camera = CAMERAS["left"]
    with tempfile.TemporaryDirectory() as folder:
        video = Video(Path(folder) / "bench/Subjects/mouse/2026-01-15/001", camera)
        video.path.parent.mkdir(parents=True)
        videos.write(video.path, camera, FRAMES)
        batches = Path(folder) / "batches"
        batches.mkdir()
        return [start(turns), against_replay(video.path, camera, batches, turns), memory(video.session)]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        track_left(Path(sys.argv[1]))
    else:
        for row in rows():
            print(f"{row.what}: {row.value} (target {row.target}; {row.figures})")
