"""Both engines on the same work, in one run: the networks alone, a whole left video, the start, the memory.

ResNets have made-up weights: what a network costs does not depend on them.  The whole video is tracked with the demo's
networks, each engine in a process of its own, in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench import videos
from bench.engine import DLC_PYTHON, peak_mb
from bench.measure import Row
from bench.passes import WEIGHTS
from iblvideo_admin.engines import conversion, tensorflow1, weights
from iblvideo_admin.engines.base import Engine
from iblvideo_admin.engines.conversion import network
from iblvideo_admin.engines.onnx import Onnx
from iblvideo_admin.engines.tensorflow1 import TensorFlow1, sidecar_environment
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table
from iblvideo_admin.tracking.track import track

FRAMES, TURNS, BATCH, BATCHES = 320, 3, 8, 3
KIND = "resnet_50"
SIZES = {"nose_tip": (100, 100), "eye": (100, 100), "paws": (102, 128), "tongue": (160, 160)}
# writes the variables' shapes, then answers each line with the seconds of some batches; from memory, random weights
TENSORFLOW = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.insert(0, sys.argv[1])
import numpy as np
import tensorflow as tf
import tensorflow1_networks as networks
description, sizes, batches, threads = json.loads(sys.argv[2])
import tempfile
with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
    json.dump(description, file)
    file.flush()
    config = networks.read_config(file.name)
layers = networks._Layers(config)
pose, _ = layers.add_head(config)
options = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
session = tf.Session(graph=layers.graph, config=options)
with layers.graph.as_default():
    session.run(tf.global_variables_initializer())
    shapes = {v.op.name.replace("head1/", ""): v.shape.as_list() for v in tf.global_variables()}
images = {name: np.zeros([sizes[0]] + size, np.uint8) for name, size in sizes[1].items()}
for each in images.values():
    session.run(pose, {layers.images: each})
print("shapes " + json.dumps(shapes))
for _ in sys.stdin:
    begun = time.perf_counter()
    for each in images.values():
        for _ in range(batches):
            session.run(pose, {layers.images: each})
    print("took %r" % (time.perf_counter() - begun))
    sys.stdout.flush()
"""


def description() -> dict[str, object]:
    """Of a network with the four points of the eye's."""
    points = NETWORKS["eye"].points
    return {
        "net_type": KIND, "dataset": "none", "num_joints": len(points), "batch_size": BATCH, "init_weights": "none",
        "all_joints": [[number] for number in range(len(points))], "all_joints_names": list(points),
        "location_refinement": True, "locref_stdev": 7.2801, "output_stride": 16, "deconvolutionstride": 2,
        "stride": 8.0,
    }  # fmt: skip


def session(model: bytes) -> object:
    """One thread, as a batch has in the engine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def networks_alone(threads: int) -> Row:
    """Batches of every side network's size, TensorFlow and onnxruntime in turn; ``threads`` 0: all processors."""
    engines = str(Path(tensorflow1.__file__).parent)
    sizes = [BATCH, {name: list(size) for name, size in SIZES.items()}]
    job = json.dumps([description(), sizes, BATCHES, threads])
    command = [str(DLC_PYTHON), "-u", "-c", TENSORFLOW, engines, job]
    theirs, ours = [], []
    with (
        open(os.devnull, "wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=sidecar_environment({}), text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        shapes = json.loads(_answer(process.stdout, "shapes "))
        random = np.random.default_rng(0)
        variables = {name: random.uniform(0.01, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
        own = session(network.build("made up", description(), variables).SerializeToString())
        images = [np.zeros((BATCH, *size), np.uint8) for size in SIZES.values()]
        with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
            work = [image for image in images for _ in range(BATCHES)]
            run = own.run  # type: ignore[attr-defined]
            for _ in range(TURNS):
                process.stdin.write("\n")
                process.stdin.flush()
                theirs.append(float(_answer(process.stdout, "took ")))
                begun = time.perf_counter()
                list(pool.map(lambda image: run(None, {conversion.FRAMES: image}), work))
                ours.append(time.perf_counter() - begun)
        process.stdin.close()
    ratio = statistics.median(their / our for their, our in zip(theirs, ours, strict=True))
    pictures = BATCH * BATCHES * len(SIZES)
    figures = (
        f"{pictures / statistics.median(ours):.1f} against {pictures / statistics.median(theirs):.1f} pictures/s; "
        f"batches of {BATCH}, median of {TURNS}"
    )
    on = "one thread" if threads else "all"
    what = f"{KIND}, side networks: onnxruntime's pictures/s by TensorFlow's, {on}"
    return Row(what, f"{ratio:.2f}", ">= 1.3" if threads else ">= 1.5", figures)


def _answer(lines: Iterator[str], word: str) -> str:
    """DeepLabCut prints, too."""
    return next(line for line in lines if line.startswith(word))[len(word) :]


def whole_video(folder: Path) -> list[Row]:
    """One after the other, in processes of their own; the seconds are the provenance's."""
    taken: dict[str, list[dict[str, float]]] = {"tensorflow1": [], "onnx": []}
    for _ in range(TURNS):
        for name, found in taken.items():
            done = subprocess.run(
                [sys.executable, "-m", "bench.engines", name, str(folder)], check=True, capture_output=True, text=True
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
    their, our = ({key: statistics.median(one[key] for one in found) for key in found[0]} for found in taken.values())
    return [
        Row(f"left: {what}, TensorFlow's seconds by onnxruntime's", f"{their[key] / our[key]:.2f}", target,
            f"{our[key]:.1f} s against {their[key]:.1f} s; {FRAMES} frames, median of {TURNS}")
        for what, key, target in (("whole video", "total", ">= 2"), ("region stage", "regions", ">= 3"),
                                  ("main pass", "tracking", ""))
    ] + [
        Row("onnxruntime: start to first batch", f"{our['start']:.1f} s", "<= 2 s", f"five nets, median of {TURNS}"),
        Row("left: peak memory, onnxruntime", f"{our['peak_mb'] / 1000:.2f} GB", "<= 1.5 GB", f"{FRAMES} frames"),
    ]  # fmt: skip


def track_left(name: str, folder: Path) -> dict[str, float]:
    """Track the folder's left video with one engine; seconds by stage, and the peak of both processes."""
    video = Video(folder / "mouse/2026-01-15/001", CAMERAS["left"])
    begun = time.perf_counter()
    with open(os.devnull, "wb") as log:
        engine: Engine = TensorFlow1(DLC_PYTHON, log) if name == "tensorflow1" else Onnx(folder / "onnx")
        with engine:
            track(video, engine, WEIGHTS, replace=True)
            peak = peak_mb(os.getpid()) + (peak_mb(engine.pid) if isinstance(engine, TensorFlow1) else 0.0)
    provenance = table.provenance_of(video.table)
    assert provenance is not None
    return {**provenance["seconds"], "total": time.perf_counter() - begun, "peak_mb": peak}


def rows() -> list[Row]:
    """None without the toolchain of TensorFlow, which ``make dlc-venv`` builds."""
    if not DLC_PYTHON.exists():
        return [Row("both engines", "not measured", figures="no toolchain dlc-tf1-cpu: `make dlc-venv`")]
    camera = CAMERAS["left"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = Video(folder / "mouse/2026-01-15/001", camera)
        video.path.parent.mkdir(parents=True)
        videos.write(video.path, camera, FRAMES)
        with Onnx(folder / "onnx") as engine:  # converted before anything is measured
            engine.load(weights.load(WEIGHTS, weights.networks_of(camera)))
            for each in weights.networks_of(camera):
                engine.submit(each, np.zeros((1, 64, 64), np.uint8)).result()
        return [networks_alone(1), networks_alone(0), *whole_video(folder)]


if __name__ == "__main__":
    print(json.dumps(track_left(sys.argv[1], Path(sys.argv[2]))))
