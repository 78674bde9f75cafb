"""DeepLabCut's part of the reference pipeline, with its time: the only file here that runs under Python 3.7.

Started as ``python deeplabcut_runner.py``.  Each line of standard input is a job, a JSON object; each line of standard
output is its result (what DeepLabCut prints goes to standard error).

- ``{"do": "subsample", "source", "target"}``: frames spread over a video, as a video of their own.
- ``{"do": "analyse", "config", "videos", "folder", "batch_size", "filtered"}``: ``analyze_videos`` and, if wanted,
  ``filterpredictions``; a ``batch_size`` of null means that of the project's ``config.yaml``.  Gives ``points`` and
  ``filtered``: per video an .npz with the (frames, 3) x, y, likelihood of each point.

Every result has ``seconds``: wall and CPU (this process, all threads) of each step.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


class Clock:
    """Adds up wall and CPU seconds by step."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    def timed(self, step: str, work: Any, *arguments: Any, **named: Any) -> Any:
        """Call and count."""
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            return work(*arguments, **named)
        finally:
            self.add(step, time.perf_counter() - begun, time.process_time() - cpu)

    def add(self, step: str, wall: float, cpu: float) -> None:
        """Count seconds; negative ones take what is counted elsewhere off a step."""
        before = self.spent.get(step, [0.0, 0.0])
        self.spent[step] = [before[0] + wall, before[1] + cpu]


def analyse(job: dict[str, Any]) -> dict[str, Any]:
    """Run one network over videos as a user of DeepLabCut does.

    Steps: ``set up`` (graph and weights), ``networks`` (``Session.run``), ``read and save`` (everything else per
    video: OpenCV, batches, h5), ``filter``.
    """
    import deeplabcut

    Path(job["folder"]).mkdir(parents=True, exist_ok=True)
    clock = Clock()
    with _Watched(clock):
        scorer = clock.timed(
            "set up", deeplabcut.analyze_videos, job["config"], job["videos"],
            destfolder=job["folder"], batchsize=job["batch_size"],
        )  # fmt: skip
    if job["filtered"]:
        for video in job["videos"]:
            clock.timed(
                "filter", deeplabcut.filterpredictions, job["config"], [video],
                filtertype="median", windowlength=5, save_as_csv=False, destfolder=job["folder"],
            )  # fmt: skip
    stems = [Path(job["folder"]) / (Path(video).stem + scorer) for video in job["videos"]]
    found: dict[str, Any] = {"points": [_as_npz(f"{stem}.h5") for stem in stems], "seconds": clock.spent}
    if job["filtered"]:
        found["filtered"] = [_as_npz(f"{stem}filtered.h5") for stem in stems]
    return found


class _Watched:
    """Takes what ``analyze_videos`` spends on a video off the setting up, and the network's runs off that."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.inside = clock, False

    def __enter__(self) -> None:
        import tensorflow as tf
        from deeplabcut.pose_estimation_tensorflow import predict_videos

        def run(session: Any, *arguments: Any, **named: Any) -> Any:  # a bound method would not get the session
            if not self.inside:  # restoring the weights
                return self.was[1](session, *arguments, **named)
            return self._moved("read and save", "networks", self.was[1], session, *arguments, **named)

        self.was = predict_videos.AnalyzeVideo, tf.Session.run
        predict_videos.AnalyzeVideo, tf.Session.run = self._analyze, run

    def __exit__(self, *exception: object) -> None:
        import tensorflow as tf
        from deeplabcut.pose_estimation_tensorflow import predict_videos

        predict_videos.AnalyzeVideo, tf.Session.run = self.was

    def _analyze(self, *arguments: Any, **named: Any) -> Any:
        self.inside = True
        try:
            return self._moved("set up", "read and save", self.was[0], *arguments, **named)
        finally:
            self.inside = False

    def _moved(self, outer: str, step: str, work: Any, *arguments: Any, **named: Any) -> Any:
        """Count as ``step`` what the clock of ``outer`` runs through too."""
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            return work(*arguments, **named)
        finally:
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            self.clock.add(step, wall, cpu)
            self.clock.add(outer, -wall, -cpu)


def _as_npz(path: str) -> str:
    """DeepLabCut's table as arrays (frames, 3) by point, beside it."""
    import numpy as np
    import pandas as pd  # type: ignore[import-untyped]

    table = pd.read_hdf(path, "df_with_missing")
    scorer = table.columns[0][0]
    names = dict.fromkeys(column[1] for column in table.columns)
    points = {name: table[scorer][name][["x", "y", "likelihood"]].to_numpy() for name in names}
    np.savez(path + ".npz", **points)
    return path + ".npz"


def subsample(job: dict[str, Any]) -> dict[str, Any]:
    """clip(seconds, 20, 500) frames, evenly spread, by OpenCV's seeking, into an MPEG-4 video of 5 Hz."""
    clock = Clock()
    clock.timed("subsample", _subsample, job["source"], job["target"])
    return {"seconds": clock.spent}


def _subsample(source: str, target: str) -> None:
    import cv2  # type: ignore[import-not-found]
    import numpy as np

    capture = cv2.VideoCapture(source)
    frames, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(target, cv2.VideoWriter_fourcc(*"mp4v"), 5, size)
    for number in np.linspace(0, frames - 1, int(np.clip(frames / rate, 20, 500))).round().astype(int):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, frame = capture.read()
        if good:
            writer.write(frame)
    writer.release()


def main() -> None:
    """Do jobs until there are no more."""
    os.environ["DLClight"] = "True"  # noqa: SIM112  DeepLabCut's spelling
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        answers.write(json.dumps({"analyse": analyse, "subsample": subsample}[job["do"]](job)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
