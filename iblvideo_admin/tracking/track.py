"""One video, from file to table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import iblvideo_admin
from iblvideo_admin.engines import weights
from iblvideo_admin.engines.base import Engine
from iblvideo_admin.engines.weights import NetworkFiles
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import sha256
from iblvideo_admin.rigs import NETWORKS, Camera
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import drawing, regions, single_pass, table
from iblvideo_admin.tracking import filter as filtering
from iblvideo_admin.tracking.pictures import Cutter, to_raw
from iblvideo_admin.tracking.video import Reader
from iblvideo_admin.tracking.windows_file import Points

PROVENANCE_SCHEMA = 1
ROWS_AT_ONCE = 4096  # of the table's row groups: an hour-long video is never in memory in full-frame pixels


@dataclass(frozen=True)
class Progress:
    """How far a video is: the stage (``starting``, ``regions``, ``tracking``) and its steps."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Tracked:
    """What became of a video.  ``fps`` is frames per second of the main pass."""

    frames: int
    seconds: float
    fps: float
    sha256: str
    warnings: tuple[str, ...]


def track(
    video: Video,
    engine: Engine,
    weights_dir: Path,
    *,
    by_hand: Points | None = None,
    replace: bool = False,
    even_offsets: bool = False,
    about: Mapping[str, Any] | None = None,
    pictures: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    placing: Callable[[], None] = lambda: None,
) -> Tracked:
    """Track one video and deliver its table.

    ``by_hand`` gives the windows' anchors in raw pixels; ``even_offsets`` reproduces the bias of the IBL's pipeline
    for comparisons (see ``Cutter``); ``about`` goes into the provenance (toolchain, GPU, driver ...); ``pictures``
    is a folder for what a person should see when nothing is found; ``placing`` is called just before the table takes
    its place.

    Raises :class:`UserError` with a code of the video, the regions, the weights, the output or the engine; nothing
    half-written is left then.
    """
    started = time.time()
    camera = video.camera
    reader = Reader(video.path, camera)
    before = _identity(video.path)
    networks = weights.load(weights_dir, weights.networks_of(camera))
    names = {network.name: network.points for network in networks}
    first = [network.identity() for network in networks]
    used = {
        "version": weights.version(networks[0].folder.parent),
        "networks": {n.name: {"folder": n.folder.name, "sha256": n.sha256()} for n in networks},
    }
    table.prepare(video)
    progress(Progress("starting", 0, reader.expected))
    versions = engine.load(networks)
    ready = time.time()
    if by_hand is not None:
        where = regions.by_hand(by_hand, camera)
    else:
        anchors = names[camera.region_network]
        where = regions.find(
            reader,
            camera,
            engine,
            anchors,
            _Sheet(anchors, pictures),
            lambda done, of: progress(Progress("regions", done, of)),
        )
    placed = time.time()
    found = single_pass.run(
        reader,
        camera,
        Cutter(camera, reader.levels, where.windows, even_offsets=even_offsets),
        engine,
        {network.name: network.batch_size for network in networks},
        lambda done: progress(Progress("tracking", done, reader.expected)),
    )
    tracked = time.time()
    digest = _sha256_unchanged(video.path, before)
    _require_unchanged(networks, first)
    frames = len(found[camera.networks[0]])
    for points in found.values():
        filtering.median(points)
    warnings = [*reader.warnings, *engine.warnings]
    if frames < filtering.WIDTH:
        warnings.append(f"fewer than {filtering.WIDTH} frames: left unfiltered")
    provenance = {
        "schema": PROVENANCE_SCHEMA,
        "software": {"iblvideo_admin": iblvideo_admin.__version__, "engine": engine.name, **versions},
        "video": {
            "name": video.path.name,
            "sha256": digest,
            "frames": frames,
            **{key: getattr(reader.info, key) for key in ("rate", "codec", "pixel_format")},
            "container_frames": reader.info.frames,
        },
        "weights": used,
        "regions": where.as_data(),
        "even_offsets": even_offsets,
        "filter": {"median": filtering.WIDTH if frames >= filtering.WIDTH else 0},
        "batch_sizes": {n.name: n.batch_size for n in networks},
        "warnings": warnings,
        "started": started,
        "seconds": {"start": ready - started, "regions": placed - ready, "tracking": tracked - placed},
        **(about or {}),
    }
    delivered = table.deliver(
        video, _full_frame(found, camera, names, where), provenance, replace=replace, placing=placing
    )
    spent = time.time() - started
    return Tracked(frames, spent, frames / max(tracked - placed, 1e-9), delivered, tuple(warnings))


def _identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written to or exchanged."""
    try:
        status = path.stat()
    except OSError as error:
        raise UserError("video.missing", f"{path} is gone: {error.strerror}") from error
    return status.st_ino, status.st_size, status.st_mtime_ns


def _sha256_unchanged(path: Path, before: tuple[int, int, int]) -> str:
    """Of the file that was tracked.  Raises ``video.missing`` or ``video.changed``."""
    try:
        digest = sha256(path)
    except OSError as error:
        raise UserError("video.missing", f"{path} cannot be read any more: {error.strerror}") from error
    if _identity(path) != before:
        raise UserError("video.changed", f"{path} changed while it was tracked")
    return digest


def _require_unchanged(networks: Sequence[NetworkFiles], first: Sequence[tuple[object, ...]]) -> None:
    """What was removed meanwhile had been read; of what was exchanged, nobody knows which of the two."""
    for network, before in zip(networks, first, strict=True):
        if any(now not in (None, then) for now, then in zip(network.identity(), before, strict=True)):
            raise UserError("weights.damaged", f"{network.folder} changed while it was in use", "Retry the job.")


class _Sheet:
    """Draws the frames in which no anchor was found."""

    def __init__(self, names: tuple[str, ...], folder: Path | None) -> None:
        self._names, self._folder = names, folder

    def __call__(self, shown: list[tuple[int, np.ndarray, np.ndarray]]) -> Path | None:
        if self._folder is None:
            return None
        drawn = [
            drawing.labelled(
                frame,
                {name: (float(x), float(y), float(p)) for name, (x, y, p) in zip(self._names, points, strict=False)},
                title=f"frame {number}: what the region network thinks (rings: not sure)",
            )
            for number, frame, points in shown
        ]
        try:
            return drawing.sheet(drawn, self._folder / "regions.png")
        except OSError:  # the reason that is to be told is another
            return None


def _full_frame(
    found: Mapping[str, np.ndarray],
    camera: Camera,
    names: Mapping[str, tuple[str, ...]],
    where: regions.Regions,
) -> Iterator[dict[str, np.ndarray]]:
    """From the networks' pixels to full-frame positions by point, each (rows, 3), some rows after the other."""
    for start in range(0, len(found[camera.networks[0]]), ROWS_AT_ONCE):
        points: dict[str, np.ndarray] = {}
        for network in camera.networks:
            raw = to_raw(found[network][start : start + ROWS_AT_ONCE], network, camera, where.windows)
            points |= {name: raw[:, names[network].index(name)] for name in NETWORKS[network].points}
        yield points
