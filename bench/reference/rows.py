"""What is measured between the reference and ours, each in one run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import Row, measured
from bench.reference import ours, pipeline
from bench.reference.differences import ALLOWED, Difference, differences
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.tensorflow1 import TensorFlow1
from iblvideo_admin.rigs import NETWORKS, Camera
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking.track import track

FASTER = {"left": 7.0, "right": 20.0}
WHOLE = {"left": 1.5}


def rows(video: Video, networks: Path, python: Path) -> list[Row]:
    """The rows of one video: everything but the networks, the whole, and how far the points lie apart."""
    camera = video.camera
    with tempfile.TemporaryDirectory() as folder:
        reference = pipeline.track(video.path, camera, networks, python, Path(folder))
        made = [_apart_from_networks(video, networks, reference)]
        with open(Path(folder) / "ours.log", "wb") as log:

            def whole() -> None:
                with TensorFlow1(python, log) as engine:
                    track(video, engine, networks, replace=True)

            cpu, wall = measured(whole)
            made.append(_whole(camera, reference, wall, cpu))
            with TensorFlow1(python, log) as engine:
                engine.load(weights.load(networks, weights.networks_of(camera)))
                made += _apart(video, networks, reference, engine)
    return made


def _apart_from_networks(video: Video, networks: Path, reference: pipeline.Reference) -> Row:
    camera, frames = video.camera, reference.frames
    null = ours.NullEngine()
    tries = [measured(lambda: ours.track(video.path, camera, networks, reference.windows, null)) for _ in range(3)]
    cpu, wall = np.min(tries, axis=0)
    theirs_wall, theirs_cpu = reference.spent(*pipeline.PER_FRAME)
    alone = reference.spent("transform", "prepare videos")
    target = f">= {FASTER[camera.name]:g}x" if camera.name in FASTER else ""
    return Row(
        f"{camera.name}: everything but the networks, faster than the reference",
        f"{theirs_wall / wall:.1f}x ({theirs_cpu / cpu:.1f}x in CPU)",
        target,
        f"ms a frame, wall (CPU): reference {_per(frames, theirs_wall, theirs_cpu)}, "
        f"of it ffmpeg {_per(frames, *alone)}; ours {_per(frames, wall, cpu)}; {frames} frames",
    )


def _whole(camera: Camera, reference: pipeline.Reference, wall: float, cpu: float) -> Row:
    theirs_wall, theirs_cpu = reference.spent()
    steps = ", ".join(f"{step} {spent[0]:.1f}" for step, spent in reference.seconds.items())
    return Row(
        f"{camera.name}: whole video, demo networks, faster than the reference",
        f"{theirs_wall / wall:.2f}x ({theirs_cpu / cpu:.2f}x in CPU)",
        f">= {WHOLE[camera.name]:g}x" if camera.name in WHOLE else "",
        f"s, wall (CPU): reference {theirs_wall:.1f} ({theirs_cpu:.1f}), ours {wall:.1f} ({cpu:.1f}); "
        f"the reference's: {steps}",
    )


def _apart(video: Video, networks: Path, reference: pipeline.Reference, engine: Any) -> list[Row]:
    camera = video.camera
    apart = compared(video.path, camera, networks, reference, engine)
    made = []
    for name, found in apart["as they are"].items():
        median, p95 = ALLOWED[name]
        made.append(
            Row(
                f"{camera.name}: {name} from the reference's, px (median / 95th percentile)",
                f"{found}; with even offsets {apart['even offsets'][name]}",
                f"even offsets <= {median:g} / {p95:g}",
                f"the reference's bias taken off: {apart['bias taken off'][name]}; {found.frames} frames",
            )
        )
    return made


def compared(
    raw: Path, camera: Camera, networks: Path, reference: pipeline.Reference, engine: Any
) -> dict[str, dict[str, Difference]]:
    """Ours against the reference with its windows, by point: as they are, cut at even offsets, and bias taken off."""
    exact = ours.track(raw, camera, networks, reference.windows, engine)
    even = ours.track(raw, camera, networks, reference.windows, engine, even_offsets=True)
    moved = {
        name: exact[name] + (*ours.bias(network, camera, reference.windows), 0.0)
        for network in camera.networks
        for name in NETWORKS[network].points
    }
    return {
        name: differences(points, reference.points)
        for name, points in (("as they are", exact), ("even offsets", even), ("bias taken off", moved))
    }


def _per(frames: int, wall: float, cpu: float) -> str:
    return f"{1000 * wall / frames:.2f} ({1000 * cpu / frames:.2f})"
