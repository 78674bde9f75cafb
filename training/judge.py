"""Measure the demo networks on videos drawn with the judging seeds: ``python training/judge.py WEIGHTS PYTHON37``.

Every video goes the way of a recording: rendered to H.264, decoded, regions found on whole frames, windows cut at
the mean of their anchors, consecutive frames in batches of 8 through DeepLabCut's own inference.  Errors are in
pixels of the network's input.  The last column says how much worse it would be to answer with each point's mean
place in the video.  The exit code is 1 when a needed value is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import inputs

from iblvideo_admin.demo.difficulty import JUDGING_SEEDS
from iblvideo_admin.demo.scenes import raw_to_network
from iblvideo_admin.demo.session import read_truth, render_session, video_path
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Camera, Network

Floats = npt.NDArray[np.float64]
VIDEOS = (("left", 60.0), ("left", 30.0), ("right", 150.0), ("body", 30.0))
BATCH, SURE, ABSENT = 8, 0.9, 0.3
# needed: median error (px), share of visible frames above SURE, share of hidden ones above ABSENT, ratio to the mean
NEEDED = {"median": 2.0, "sure": 0.98, "ghosts": 0.02, "ratio": 4.0}


@dataclass
class Sample:
    """One point's measurements, collected over videos: errors in the network's px, likelihoods."""

    errors: list[Floats] = field(default_factory=list)
    mean_errors: list[Floats] = field(default_factory=list)
    seen: list[Floats] = field(default_factory=list)
    hidden: list[Floats] = field(default_factory=list)

    def add(self, pose: Floats, truth: Floats) -> None:
        """Add predictions (n, 3) for true places (n, 2), nan where hidden."""
        there = np.isfinite(truth[:, 0])
        self.errors.append(np.hypot(*(pose[there, :2] - truth[there]).T))
        self.mean_errors.append(np.hypot(*(truth[there] - truth[there].mean(axis=0)).T))
        self.seen.append(pose[there, 2])
        self.hidden.append(pose[~there, 2])

    def summary(self) -> dict[str, float]:
        """The numbers of the table's row."""
        error, mean_error = np.concatenate(self.errors), np.concatenate(self.mean_errors)
        seen, hidden = np.concatenate(self.seen), np.concatenate(self.hidden)
        return {
            "frames": len(error),
            "median": float(np.median(error)),
            "p95": float(np.percentile(error, 95)),
            "sure": float((seen > SURE).mean()),
            "hidden": len(hidden),
            "ghosts": float((hidden > ABSENT).mean()) if len(hidden) else 0.0,
            "ratio": float(np.median(mean_error) / np.median(error)),
        }


class Predictor:
    """Runs networks in the other Python."""

    def __init__(self, python: Path, weights: Path, place: Path) -> None:
        self._python, self._weights, self._place = python, weights, place

    def __call__(self, name: str, images: npt.NDArray[np.uint8], size: int) -> Floats:
        """Poses (n, k, 3) of grey images (n, h, w) in batches of ``size``."""
        source, target = self._place / "images.npy", self._place / "poses.npy"
        np.save(source, images)
        script = Path(__file__).with_name("predict.py")
        command = [self._python, script, self._weights, name, source, target, str(size)]
        result = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"prediction with {name} failed:\n{result.stderr[-2000:]}")
        poses: Floats = np.load(target)
        return poses


def network_truth(session: Path, camera: Camera, network: Network) -> Floats:
    """True places (n, k, 2) of a network's points in the networks' frame."""
    truth, _ = read_truth(session, camera)
    return np.stack([raw_to_network(camera, truth[name]) for name in network.points], axis=1)


def judge_video(
    session: Path, camera: Camera, predict: Predictor, only: set[str], regions: int
) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """Poses (n, 3) and true places (n, 2) by network and point, in the network's input px."""
    frames = [inputs.to_network_frame(grey, camera) for grey in inputs.decoded(video_path(session, camera.name))]
    found: dict[tuple[str, str], tuple[Floats, Floats]] = {}

    def keep(label: str, network: Network, poses: Floats, truth: Floats) -> None:
        for i, point in enumerate(network.points):
            found[label, point] = (poses[:, i], truth[:, i])

    scout = NETWORKS[camera.region_network]
    truth = network_truth(session, camera, scout)
    anchors = dict(zip(scout.points, truth.mean(axis=0), strict=True))
    if regions:
        picked = np.linspace(0, len(frames) - 1, regions).astype(int)
        poses = predict(scout.name, np.stack([frames[i] for i in picked]), 1)
        label = scout.name if scout.name not in camera.networks else f"{scout.name} (whole frame)"
        keep(label, scout, poses, truth[picked])
        for i, point in enumerate(scout.points):
            sure = poses[:, i, 2] >= SURE
            anchors[point] = poses[sure, i, :2].mean(axis=0) if sure.any() else np.full(2, np.nan)
    for name in camera.networks:
        network = NETWORKS[name]
        truth = network_truth(session, camera, network)
        if only and name not in only:
            continue
        if network.window is not None:
            places = np.stack([anchors[point] for point in network.window.anchors])
            if not np.isfinite(places).all():
                raise RuntimeError(f"{camera.name}: the region network is not sure of {network.window.anchors}")
            x, y = inputs.window_at(places, network)
            images = np.stack([f[y : y + network.window.height, x : x + network.window.width] for f in frames])
            truth = truth - (x, y)
        else:
            assert network.scaled_to is not None
            images = np.stack([inputs.resized(frame, *network.scaled_to) for frame in frames])
            truth = truth / network.points_factor
        keep(name, network, predict(name, inputs.stretched(images, network), BATCH), truth)
    return found


def failures(row: dict[str, float]) -> list[str]:
    """What a row misses."""
    missed = [key for key in ("median", "ghosts") if row[key] > NEEDED[key]]
    return missed + [key for key in ("sure", "ratio") if row[key] < NEEDED[key]]


def main() -> int:
    """Judge what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("python", type=Path, help="interpreter with TensorFlow 1.13 and DLC 2.1.5.2")
    parser.add_argument("--seconds", type=float, default=5.1, help="length of each video")
    parser.add_argument("--videos", type=Path, help="keep the videos here and use them again")
    parser.add_argument("--seeds", type=int, default=len(JUDGING_SEEDS), help="how many of the judging seeds")
    parser.add_argument("--camera", action="append", choices=list(CAMERAS))
    parser.add_argument("--network", action="append", choices=list(NETWORKS), default=[])
    parser.add_argument(
        "--regions",
        type=int,
        default=10,
        help="whole frames a video for the region network; 0: windows from the truth",
    )
    parser.add_argument("--json", type=Path, help="write all rows here")
    options = parser.parse_args()
    samples: dict[tuple[str, str, str], Sample] = defaultdict(Sample)
    with tempfile.TemporaryDirectory() as place:
        predict = Predictor(options.python, options.weights.resolve(), Path(place))
        for seed, (name, rate) in itertools.product(JUDGING_SEEDS[: options.seeds], VIDEOS):
            if options.camera and name not in options.camera:
                continue
            session = (options.videos or Path(place)) / f"{seed}-{name}-{rate:.0f}"
            render_session(session, [name], options.seconds, seed, {name: rate})
            found = judge_video(session, CAMERAS[name], predict, set(options.network), options.regions)
            for (label, point), (poses, truth) in found.items():
                samples[f"{name} {rate:.0f} Hz", label, point].add(poses, truth)
    print("| video | network | point | frames | median px | p95 px | > 0.9 | hidden, > 0.3 | mean place / network |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows, bad = [], 0
    for (video, label, point), sample in samples.items():
        row = sample.summary()
        missed = failures(row)
        bad += bool(missed)
        rows.append({"video": video, "network": label, "point": point, **row})
        ghosts = f"{row['hidden']}, {100 * row['ghosts']:.1f} %" if row["hidden"] else ""
        print(
            f"| {video} | {label} | {point} | {row['frames']} | {row['median']:.2f} | {row['p95']:.2f} "
            f"| {100 * row['sure']:.1f} % | {ghosts} | {row['ratio']:.1f} |" + (f" misses {missed}" if missed else "")
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
