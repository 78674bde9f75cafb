"""On lossless pictures our pass gives the numbers of DeepLabCut's own ``analyze_videos`` and ``filterpredictions``.

A camera's lossless video goes two ways: through our pass, and through ffmpeg's own filters into a lossless video per
network that DeepLabCut 2.1.5.2 reads in Python 3.7.  The resnet_50 networks are random (their batch norm calibrated, so
that every layer's values are of the size that they have in trained ones); the mobilenets are the demo's, whose numbers
depend on the other pictures of a batch: both sides take equal batches, and the last one is part of the comparison.

A video shorter than one batch has no batch before its last: there DeepLabCut's mobilenets see uninitialised memory, and
nothing can equal them.  Resnets do not look at it: the shortest video is compared with them alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.parity import folders, footage

import iblvideo_admin
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1, sidecar_environment
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS, NETWORKS, Camera
from iblvideo_admin.tracking import filter as filtering
from iblvideo_admin.tracking import regions, single_pass
from iblvideo_admin.tracking.pictures import Box, Cutter
from iblvideo_admin.tracking.video import Reader

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(iblvideo_admin.__file__).parent / "demo/weights"
# Odd places on purpose: ffmpeg's crop would round them to even ones, ours must not.
ANCHORS = {
    "left": {"nose_tip": (341, 557), "pupil_top_r": (641, 321), "tube_top": (330, 683), "tube_bottom": (318, 740)},
    "right": {"nose_tip": (470, 279), "pupil_top_r": (319, 160), "tube_top": (475, 342), "tube_bottom": (481, 370)},
    "body": {"tail_start": (431, 301)},
}
KINDS = ("resnet_50", "mobilenet")
REGIONS = "roi_detect"


@dataclass(frozen=True)
class Take:
    """A video: its camera, its length, and who looks at it."""

    of: str
    frames: int
    networks: tuple[str, ...]
    kinds: tuple[str, ...] = KINDS

    @property
    def camera(self) -> Camera:
        """The camera, with these networks."""
        return replace(CAMERAS[self.of], networks=self.networks)

    @property
    def windows(self) -> dict[str, Box]:
        """By hand."""
        return regions.by_hand(ANCHORS[self.of], self.camera).windows


SIDE, BODY = CAMERAS["left"].networks, CAMERAS["body"].networks
QUICK = {
    "left": Take("left", 11, SIDE, ("resnet_50",)),
    "right": Take("right", 5, SIDE, ("resnet_50",)),
    "body": Take("body", 9, BODY, ("resnet_50",)),
    "regions": Take("left", 1, (REGIONS,), ("resnet_50",)),
    "eyes": Take("left", 11, ("eye",), ("mobilenet",)),
}
FULL = {
    "left": Take("left", 37, SIDE),
    "right": Take("right", 21, SIDE),
    "body": Take("body", 19, BODY),
    "regions": Take("left", 5, (REGIONS,)),
    "short": Take("left", 5, SIDE, ("resnet_50",)),
}


@dataclass(frozen=True)
class Points:
    """Of one network and video, (frames, points, 3): as found, and filtered (none for the regions)."""

    found: np.ndarray
    filtered: np.ndarray | None


Found = dict[tuple[str, str, str], Points]  # by kind of network, video and network


def deeplabcut(
    folder: Path, python: Path, videos: Mapping[str, Take], weights_of: Mapping[str, Path]
) -> tuple[Found, dict[str, int]]:
    """What DeepLabCut finds, and how many values OpenCV read differently from what was written, by video."""
    pictures = cut(folder, videos)
    asked = [
        (kind, network, [video for video, take in videos.items() if network in take.networks and kind in take.kinds])
        for kind in KINDS
        for network in NETWORKS
    ]
    asked = [(kind, network, seen) for kind, network, seen in asked if seen]
    example = {name: path for (_, name), path in pictures.items()}
    job = {
        "networks": [
            {
                "name": name,
                "points": len(network.points),
                "snapshot": folders.new_snapshot(weights_of["resnet_50"], name),
                "pictures": str(example[name].with_suffix(".npy")),
            }
            for name, network in sorted(NETWORKS.items(), key=lambda item: item[0] == REGIONS)
        ],
        "videos": {str(path): str(path.with_suffix(".npy")) for path in pictures.values()},
        "analyses": [
            {
                "config": str(folders.project(weights_of[kind], network) / "config.yaml"),
                "videos": [str(pictures[video, network]) for video in seen],
                "folder": str(folder / f"{kind}.found"),
                "batch_size": 1 if network == REGIONS else None,  # the region stage looks at one frame at a time
                "filtered": network != REGIONS,
            }
            for kind, network, seen in asked
        ],
    }
    result = run_job(folder, python, job)
    found = {
        (kind, video, network): Points(
            read(done["points"][index], network),
            read(done["filtered"][index], network) if "filtered" in done else None,
        )
        for (kind, network, seen), done in zip(asked, result["found"], strict=True)
        for index, video in enumerate(seen)
    }
    return found, result["misread"]


def cut(folder: Path, videos: Mapping[str, Take]) -> dict[tuple[str, str], Path]:
    """A lossless video for each video and network, by ffmpeg's own filters; beside it what must be read from it."""
    made = {}
    for video, take in videos.items():
        for network in take.networks:
            made[video, network] = path = folder / f"{video}.{network}.avi"
            grey = footage.cut(folder / f"{video}.avi", path, network, take.camera, take.windows)
            np.save(path.with_suffix(".npy"), grey)
    return made


def run_job(folder: Path, python: Path, job: Mapping[str, Any]) -> Any:
    """One process of Python 3.7 for all of it."""
    (folder / "job.json").write_text(json.dumps(job))
    script = Path(__file__).parent / "parity/deeplabcut_side.py"
    command = [python, script, ROOT / "bench/reference", folder / "job.json", folder / "result.json"]
    with open(folder / "deeplabcut.log", "wb") as log:
        words, environment = [str(word) for word in command], sidecar_environment({})
        done = subprocess.run(words, check=False, env=environment, stdout=log, stderr=log)
    assert done.returncode == 0, (folder / "deeplabcut.log").read_text(errors="replace")[-3000:]
    return json.loads((folder / "result.json").read_text())


def read(file: str, network: str) -> np.ndarray:
    """A network's points, (frames, points, 3), in the order in which :class:`Camera` names them."""
    with np.load(file) as arrays:
        return np.stack([arrays[name] for name in NETWORKS[network].points], axis=1)


class Recorder:
    """An engine that remembers what was found."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.found = engine, []

    def submit(self, network: str, images: np.ndarray) -> Any:
        future = self._engine.submit(network, images)
        self.found.append(future)
        return future


def track(folder: Path, video: str, take: Take, networks: list[NetworkFiles], engine: Any) -> dict[str, Points]:
    """Our pass over a whole video, or our region stage."""
    camera = take.camera
    reader = Reader(folder / f"{video}.avi", camera)
    order = {
        network.name: [network.points.index(name) for name in NETWORKS[network.name].points] for network in networks
    }
    if take.networks == (REGIONS,):
        recorder = Recorder(engine)
        with suppress(UserError):  # random networks need not find anything
            regions.find(reader, camera, recorder, NETWORKS[REGIONS].points, lambda _: None, lambda *_: None)
        found = np.concatenate([future.result() for future in recorder.found])
        return {REGIONS: Points(found[:, order[REGIONS]], None)}
    cutter = Cutter(camera, reader.levels, take.windows)
    batches = {network.name: network.batch_size for network in networks}
    points = {}
    for name, found in single_pass.run(reader, camera, cutter, engine, batches, lambda _: None).items():
        filtered = np.array(found, np.float64)
        assert filtering.median(filtered)
        points[name] = Points(np.asarray(found)[:, order[name]], filtered[:, order[name]])
    return points


@dataclass(frozen=True)
class Compared:
    """Everything, both ways."""

    ours: Found
    theirs: Found
    misread: Mapping[str, int]


def compare(folder: Path, python: Path, videos: Mapping[str, Take], batch: int) -> Compared:
    for video, take in videos.items():
        footage.film(folder / f"{video}.avi", take.camera, take.frames)
    weights_of = {"resnet_50": folders.emptied(DEMO, folder / "resnet_50", batch, "resnet_50")}
    weights_of["mobilenet"] = folders.copied(DEMO, folder / "mobilenet", batch)
    theirs, misread = deeplabcut(folder, python, videos, weights_of)
    ours = {}
    for kind in KINDS:
        wanted = {name for take in videos.values() if kind in take.kinds for name in take.networks}
        networks = weights.load(weights_of[kind], sorted(wanted))
        with open(folder / "log", "ab") as log, TensorFlow1(python, log) as engine:
            engine.load(networks)
            for video, take in videos.items():
                if kind in take.kinds:
                    found = track(folder, video, take, networks, engine)
                    ours |= {(kind, video, network): points for network, points in found.items()}
        shutil.rmtree(weights_of[kind])  # six resnets are half a gigabyte
    return Compared(ours, theirs, misread)


def complaint(ours: Points, theirs: Points, kind: str) -> str:
    """What is wrong, or nothing."""
    if ours.found.shape != theirs.found.shape:
        return f"{ours.found.shape} instead of {theirs.found.shape}"
    off = np.abs(ours.found - theirs.found)
    said = []
    if not off[..., :2].max() <= 0.01:
        said.append(f"{off[..., :2].max():.3f} px")
    if ours.filtered is not None and theirs.filtered is not None:
        if not np.abs(ours.filtered - theirs.filtered)[..., :2].max() <= 0.01:
            said.append("filtered differently")
        if not np.array_equal(ours.filtered[..., 2], ours.found[..., 2]):
            said.append("a filtered likelihood")
    # the comparison means something: points move, and no likelihood is so near to 0 or 1 that the maximum is a tie
    if len(theirs.found) > 1 and not theirs.found[..., :2].std(axis=0).max() > 1:
        said.append("the points stand still")
    if kind == "resnet_50":
        likelihood = theirs.found[..., 2]
        if not off[..., 2].max() <= 1e-4:
            said.append(f"likelihood {off[..., 2].max():.1e}")
        if not (likelihood.min() > 0.02 and likelihood.max() < 0.9999):
            said.append(f"saturated: {likelihood.min():.3f} to {likelihood.max():.4f}")
    return ", ".join(said)


def judge(both: Compared, videos: Mapping[str, Take]) -> None:
    assert {video: count for video, count in both.misread.items() if count} == {}  # OpenCV reads what was written
    expected = {(kind, video, name) for video, take in videos.items() for kind in take.kinds for name in take.networks}
    assert both.ours.keys() == both.theirs.keys() == expected
    complaints = {key: complaint(both.ours[key], both.theirs[key], key[0]) for key in expected}
    assert {key: said for key, said in complaints.items() if said} == {}


@pytest.mark.timeout(900)
def test_the_numbers_are_deeplabcuts(tmp_path: Path, dlc_python: Path) -> None:
    """A few frames of every network; of the mobilenets, whose matter is the batch, only the quickest."""
    judge(compare(tmp_path, dlc_python, QUICK, 4), QUICK)


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_the_numbers_of_longer_videos_are_deeplabcuts(tmp_path: Path, dlc_python: Path) -> None:
    judge(compare(tmp_path, dlc_python, FULL, 8), FULL)
