"""``weights convert``: networks of a weights folder as ONNX files, and the proof that they are the same networks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from iblvideo_admin import toolchains
from iblvideo_admin.engines import start, weights
from iblvideo_admin.engines.base import Engine
from iblvideo_admin.engines.conversion import cache, compare
from iblvideo_admin.engines.conversion.cache import Converted
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import FAILED, UserError
from iblvideo_admin.gpu import known
from iblvideo_admin.result import Problem, Result
from iblvideo_admin.rigs import CAMERAS, NETWORKS
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

REFERENCE, OURS = "dlc-tf1-cpu", "onnx-cpu"
FRAMES = 8  # of a video, spread over it

Sets = Mapping[str, np.ndarray]


def convert(
    settings: Settings,
    folder: Path | None = None,
    *,
    verify: bool = False,
    video: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Result:
    """Convert every network of the weights folder (the configured one); ``verify`` them against TensorFlow 1.13.1.

    ``video`` gives real pictures for that, beside drawn and random ones.  Networks that cannot be converted are
    errors, and the others are converted all the same.

    Raises ``engine.not_available`` without an environment of TensorFlow, ``weights.missing``, ``path.``, ``video.``.
    """
    if not (folder or settings.weights_dir).is_dir():
        raise UserError("weights.missing", f"there is no weights folder {folder or settings.weights_dir}")
    if verify:
        start.chosen("tensorflow1", settings, toolchains.load(OURS))
    elif video is not None:
        raise UserError("usage", "--video says what to --verify with")
    converted: list[Converted] = []
    problems: list[Problem] = []
    for name in NETWORKS:
        progress(f"converting {name}")
        try:
            [network] = weights.load(folder or settings.weights_dir, [name])
            converted.append(cache.get(network, start.converted_networks(settings)))
        except UserError as error:
            if error.code in ("state.not_usable", "disk.full"):
                raise
            problems.append(Problem.of(error))
    if verify and converted:
        problems += _verify(settings, [one.network for one in converted], video, progress)
        converted = [cache.get(one.network, one.path.parent) for one in converted]
    data = {
        "folder": str((folder or settings.weights_dir).resolve()),
        "networks": [_as_data(one) for one in converted],
    }
    return Result("weights convert", data, FAILED if problems else 0, tuple(problems))


def _as_data(one: Converted) -> dict[str, object]:
    return {
        "name": one.network.name,
        "net_type": one.network.net_type,
        "file": str(one.path),
        "sha256": one.about["sha256"],
        "bytes": one.path.stat().st_size,
        "compared": one.checked,
    }


def _verify(
    settings: Settings, networks: list[NetworkFiles], video: Path | None, progress: Callable[[str], None]
) -> list[Problem]:
    """Compare each network; what differs is an error of its own."""
    problems = []
    drawn, _ = known.scene()
    with tempfile.TemporaryFile() as log, ExitStack() as engines:
        progress("starting TensorFlow")
        reference, ours = (
            engines.enter_context(start.start(settings, toolchains.load(name), log, gpu="", lease=()))
            for name in (REFERENCE, OURS)
        )
        versions = reference.load(networks)
        ours.load(networks)
        real = _real(video, ours, networks) if video is not None else {}
        for network in networks:
            progress(f"comparing {network.name}")
            sets = {"drawn": drawn[network.name], "random": compare.noise(drawn[network.name])}
            sets |= {"real": real[network.name]} if network.name in real else {}
            found = compare.compare(network.name, ours, reference, sets)
            about = {**found.as_data(), "with": sorted(sets), "tensorflow": versions.get("tensorflow", "")}
            if found.is_equal:
                cache.get(network, start.converted_networks(settings)).note(about)
            else:
                said = f"{found.px:.3g} px and {found.likelihood:.3g} of likelihood in {found.judged} points"
                problems.append(Problem.of(UserError("weights.differ", f"network {network.name} differs by {said}")))
    return problems


def _real(path: Path, engine: Engine, networks: list[NetworkFiles]) -> dict[str, np.ndarray]:
    """Pictures of some frames as each of the camera's networks would get them in a job.

    Elsewhere would say less: where a picture is flat a mobilenet's batch norm enlarges rounding until it is seen.
    """
    from iblvideo_admin.tracking import regions
    from iblvideo_admin.tracking.pictures import Cutter, levels_for, networks_frame
    from iblvideo_admin.tracking.video import Reader

    if not os.path.lexists(path):
        raise UserError("path.missing", f"{path} does not exist")
    camera = next((camera for camera in CAMERAS.values() if camera.raw_name == path.name), None)
    if camera is None:
        raise UserError("path.not_a_video", f"{path} is not named as a raw video of a camera")
    reader = Reader(Video(path.parent.parent, camera).path, camera)
    points = next(network.points for network in networks if network.name == camera.region_network)
    windows = regions.find(reader, camera, engine, points, lambda _: None, lambda *_: None).windows
    cutter = Cutter(camera, reader.levels, windows)
    numbers = np.unique(np.linspace(0, max(reader.pictures - 1, 0), FRAMES).round().astype(int))
    frames = [luma for _, luma in reader.frames_at(tuple(map(int, numbers)))]
    if not frames:
        raise UserError("video.corrupt", f"no frame of {path} can be decoded")
    cut = {name: np.empty((len(frames), *cutter.shape(name)), np.uint8) for name in camera.networks}
    for number, frame in enumerate(frames):
        cutter.cut(frame, {name: places[number] for name, places in cut.items()})
    pictures = {name: levels_for(NETWORKS[name], reader.levels)[cut[name]] for name in camera.networks}
    whole = levels_for(NETWORKS[camera.region_network], reader.levels)[networks_frame(frames[0], camera)]
    return {camera.region_network: whole[np.newaxis], **pictures}
