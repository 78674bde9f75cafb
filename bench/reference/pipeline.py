"""The reference pipeline on one video: cropped videos on the disk, DeepLabCut on each, tables joined."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from bench.measure import measured
from bench.reference import deeplabcut_runner, videos
from iblvideo_admin.engines.tensorflow1 import sidecar_environment
from iblvideo_admin.rigs import NETWORKS, Camera

Window = tuple[float, float, float, float]  # width, height, x, y in the networks' frame
SURE = 0.9


@dataclass
class Reference:
    """What the reference found: points (frames, 3) in raw pixels, the windows, seconds (wall, CPU) by step."""

    points: dict[str, np.ndarray] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    frames: int = 0

    def spent(self, *steps: str) -> np.ndarray:
        """Wall and CPU seconds of some steps (of all, without names)."""
        total: np.ndarray = np.sum([self.seconds.get(step, (0.0, 0.0)) for step in steps or self.seconds], axis=0)
        return total

    def add(self, step: str, wall: float, cpu: float) -> None:
        """Count seconds."""
        before = self.seconds.get(step, (0.0, 0.0))
        self.seconds[step] = before[0] + wall, before[1] + cpu


# What a frame costs apart from the networks: the videos written for them, read back, and the tables.
PER_FRAME = ("transform", "prepare videos", "read and save", "filter", "join")


class DeepLabCut:
    """The process of Python 3.7 that does what needs DeepLabCut."""

    def __init__(self, python: Path, log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [str(python), deeplabcut_runner.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=sidecar_environment({}),
        )

    def ask(self, **job: Any) -> Any:
        """One job's result.  Raises RuntimeError where the process died of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"DeepLabCut ended with status {self._process.wait()}: see its log")
        return json.loads(answer)

    def __enter__(self) -> DeepLabCut:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()  # its input ends, and so does it


def projects(weights: Path, folder: Path) -> Path:
    """A copy of the weights whose ``config.yaml`` files say where they lie, as DeepLabCut wants it."""
    shutil.copytree(weights, folder)
    for config in folder.glob("*/config.yaml"):
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        config.write_text(yaml.safe_dump({**settings, "project_path": str(config.parent)}), encoding="utf-8")
    return folder


def track(raw: Path, camera: Camera, weights: Path, python: Path, folder: Path) -> Reference:
    """Track one video as the reference does, with all files below ``folder``, which is to be empty.

    Raises CalledProcessError and RuntimeError of ffmpeg and DeepLabCut, ValueError where an anchor is not found.
    """
    configs = projects(weights, folder / "weights")
    done = Reference()

    def timed(step: str, work: Callable[..., Any], *arguments: Any) -> Any:
        kept: list[Any] = []
        cpu, wall = measured(lambda: kept.append(work(*arguments)))
        done.add(step, wall, cpu)
        return kept[0]

    with ExitStack() as stack:
        log = stack.enter_context(open(folder / "deeplabcut.log", "wb"))
        runner = stack.enter_context(DeepLabCut(python, log))

        def ask(into: str | None = None, **job: Any) -> Any:
            answer = runner.ask(**job)
            for step, (wall, cpu) in answer["seconds"].items():
                done.add(into or step, wall, cpu)
            return answer

        def analyse(network: str, video: Path, into: str | None = None, *, filtered: bool) -> dict[str, np.ndarray]:
            [project] = configs.glob(NETWORKS[network].folder)
            answer = ask(
                into, do="analyse", config=str(project / "config.yaml"), videos=[str(video)],
                folder=str(folder / "found"), batch_size=None, filtered=filtered,
            )  # fmt: skip
            with np.load(answer["filtered" if filtered else "points"][0]) as arrays:
                return dict(arrays)

        whole = timed("transform", videos.transformed, raw, folder) if camera.mirrored else raw
        sample = folder / "sample.mp4"
        ask(do="subsample", source=str(whole), target=str(sample))
        seen = analyse(camera.region_network, sample, "detect regions", filtered=False)
        done.windows = windows(seen, camera)
        found = {}
        for network in camera.networks:
            made = timed("prepare videos", _prepared, whole, network, done.windows, folder)
            found[network] = analyse(network, made, filtered=True)
        done.points = timed("join", joined, found, done.windows, camera)
    done.frames = len(next(iter(done.points.values())))
    return done


def _prepared(whole: Path, network: str, windows: Mapping[str, Window], folder: Path) -> Path:
    if NETWORKS[network].scaled_to is not None:
        return videos.shrunk(whole, folder)
    return videos.cropped(whole, network, windows[network], folder)


def windows(seen: Mapping[str, np.ndarray], camera: Camera) -> dict[str, Window]:
    """Each network's window at the mean of its anchors' means, these cut to whole pixels; never moved or rounded."""
    places = {}
    for network in camera.networks:
        window = NETWORKS[network].window
        if window is None:
            continue
        means = []
        for anchor in window.anchors:
            sure = seen[anchor][seen[anchor][:, 2] >= SURE, :2]
            if not len(sure):
                raise ValueError(f"the reference finds no {anchor}")
            means.append(sure.mean(axis=0).astype(int))
        x, y = np.mean(means, axis=0)
        places[network] = float(window.width), float(window.height), float(x + window.dx), float(y + window.dy)
    return places


def joined(
    found: Mapping[str, Mapping[str, np.ndarray]], windows: Mapping[str, Window], camera: Camera
) -> dict[str, np.ndarray]:
    """All networks' points in raw pixels: the unrounded offset added, scaled, and mirrored where the camera is."""
    points = {}
    for network, of in found.items():
        _, _, x, y = windows.get(network, (0.0, 0.0, 0.0, 0.0))
        for name, values in of.items():
            raw = values.copy()
            raw[:, :2] = (raw[:, :2] * NETWORKS[network].points_factor + (x, y)) / camera.upscaled
            if camera.mirrored:
                raw[:, 0] = camera.width - raw[:, 0]
            points[name] = raw
    return points


def available() -> bool:
    """Whether there is an ``ffmpeg`` to run."""
    return shutil.which("ffmpeg", path=os.environ.get("PATH")) is not None
