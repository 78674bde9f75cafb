"""The delivered table: columns, metadata, and how it comes into place.

A table is written below ``alf/.iblvideo-admin`` (same file system), synced and renamed; the provenance is in its
own key-value metadata, so that both are one atomic file.

ONE looks into hidden folders too and takes any file with two dots in its name for a dataset.  So temporary files and
replaced tables have one: ONE passes them over, and never finds two tables of one camera.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from iblvideo_admin.files import refusals, sha256, sync, sync_folder, write_json
from iblvideo_admin.rigs import Camera
from iblvideo_admin.sessions import Video

METADATA_KEY = b"iblvideo_admin.provenance"
_OF_A_POINT = ("x", "y", "likelihood")
# what file systems without hard links answer
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


def columns(camera: Camera) -> list[str]:
    """The table's columns: ``{point}_x``, ``{point}_y``, ``{point}_likelihood`` of every point."""
    return [f"{point}_{what}" for point in camera.points for what in _OF_A_POINT]


def prepare(video: Video) -> None:
    """Make sure, before any work, that the output folder can be written; remove what a crash left there.

    Raises ``output.not_writable`` or ``disk.full``.
    """
    with refusals(video.alf, "output.not_writable"):
        video.work.mkdir(parents=True, exist_ok=True)
        _remove_stale(video)
        probe = video.work / f"{video.camera.name}-probe.tmp"
        probe.write_bytes(b"\0")
        probe.unlink()


def deliver(
    video: Video,
    blocks: Iterable[Mapping[str, np.ndarray]],
    provenance: Mapping[str, Any],
    *,
    replace: bool,
    placing: Callable[[], None] = lambda: None,
) -> str:
    """Write the table and the readable copy of its provenance; returns the table's sha256.

    ``blocks`` are some thousand rows each, one after the other: every point's (rows, 3) with x, y, likelihood in
    full-frame pixels.  Each becomes a row group, so that the table is never in memory as a whole.

    A table that is already there is kept in ``.iblvideo-admin/replaced/<time>/`` if ``replace`` is true;
    otherwise it stays, whoever made it, and FileExistsError is raised.  ``placing`` is called when all is written and
    only names are left to be changed.
    """
    temporary = video.work / f"{video.camera.name}-table.tmp"
    readable = video.work / f"{video.camera.name}-provenance"
    placed = True
    with refusals(video.alf, "output.not_writable"):
        try:
            with open(temporary, "wb") as file:
                _write(file, video.camera, blocks, provenance)
                sync(file)
            digest = sha256(temporary)
            # before the table takes its place: from then on nothing may fail for want of room
            write_json(readable, {**provenance, "table": {"name": video.table.name, "sha256": digest}})
            placing()
            if replace:
                _keep_old(video)
                os.replace(temporary, video.table)
            else:
                placed = _put(temporary, video.table)
            if placed:
                sync_folder(video.alf)
                os.replace(readable, video.provenance)
        finally:
            temporary.unlink(missing_ok=True)
            readable.unlink(missing_ok=True)
    if not placed:
        raise FileExistsError(errno.EEXIST, "a table is there already", str(video.table))
    return digest


def _write(
    file: IO[bytes], camera: Camera, blocks: Iterable[Mapping[str, np.ndarray]], provenance: Mapping[str, Any]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {METADATA_KEY: json.dumps(provenance).encode()}
    schema = pa.schema([(name, pa.float64()) for name in columns(camera)], metadata)
    with pq.ParquetWriter(file, schema) as writer:
        for block in blocks:
            values = (block[point][:, column] for point in camera.points for column in range(len(_OF_A_POINT)))
            writer.write_table(pa.table([np.ascontiguousarray(v, np.float64) for v in values], schema))


def provenance_of(path: Path) -> dict[str, Any] | None:
    """The provenance in a table's metadata; None for a table that others made."""
    import pyarrow.parquet as pq

    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata[METADATA_KEY]) if METADATA_KEY in metadata else None


def sha256_of(video: Video) -> str:
    """Of the table in its place.  Raises OSError."""
    return sha256(video.table)


def copy_provenance(video: Video) -> None:
    """Write the readable copy anew from the table's own metadata.  Raises ``disk.full``, ``output.not_writable``."""
    provenance = provenance_of(video.table)
    if provenance is None:
        return
    with refusals(video.alf, "output.not_writable"):
        about = {"table": {"name": video.table.name, "sha256": sha256(video.table)}}
        readable = video.work / f"{video.camera.name}-provenance"
        write_json(readable, {**provenance, **about})
        os.replace(readable, video.provenance)
        _remove_stale(video)


def _remove_stale(video: Video) -> None:
    """What a crash left of an unfinished delivery."""
    for stale in video.work.glob(f"{video.camera.name}-*"):
        stale.unlink()


def _put(temporary: Path, final: Path) -> bool:
    """Rename without replacing: a link fails where a rename would overwrite what came there meanwhile."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):
            return False
        os.replace(temporary, final)
    return True


def _keep_old(video: Video) -> None:
    """Give the old table a second name before the new one takes its place, so that neither is ever missing."""
    if not os.path.lexists(video.table):
        return
    folder = _new_folder(video.work / "replaced", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    for path in (video.table, video.provenance):
        if not os.path.lexists(path):
            continue
        kept = folder / f"{path.stem.replace('.', '-')}{path.suffix}"
        try:
            os.link(path, kept)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(path, kept, follow_symlinks=False)


def _new_folder(parent: Path, name: str) -> Path:
    """A folder of this name, or of this name and a number where it exists: what is kept is never written over."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError
