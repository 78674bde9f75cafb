"""The delivered table: columns, metadata, and how it comes into place.

A table is written below ``alf/.iblvideo-admin`` (same file system), synced and renamed; the provenance is in its
own key-value metadata, so that both are one atomic file.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import sha256, sync, sync_folder, write_json
from iblvideo_admin.sessions import Video

METADATA_KEY = b"iblvideo_admin.provenance"
# what file systems without hard links answer
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


def columns(points: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``{point}_x``, ``{point}_y``, ``{point}_likelihood`` as float64 from (frames, 3) arrays by point."""
    return {
        f"{name}_{what}": np.ascontiguousarray(values[:, column], np.float64)
        for name, values in points.items()
        for column, what in enumerate(("x", "y", "likelihood"))
    }


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Turn the file system's refusals into errors that name the folder."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("disk.full", f"there is no room left for {folder}") from error
        raise UserError("output.not_writable", f"{folder} cannot be written: {error.strerror}") from error


def prepare(video: Video) -> None:
    """Make sure, before any work, that the output folder can be written; remove what a crash left there.

    Raises ``output.not_writable`` or ``disk.full``.
    """
    with _refusals(video.alf):
        video.work.mkdir(parents=True, exist_ok=True)
        for stale in video.work.glob(f"{video.camera.name}.*.tmp"):
            stale.unlink()
        probe = video.work / f"{video.camera.name}.probe.tmp"
        probe.write_bytes(b"\0")
        probe.unlink()


def deliver(video: Video, table: Mapping[str, np.ndarray], provenance: Mapping[str, Any], *, replace: bool) -> str:
    """Write the table and the readable copy of its provenance; returns the table's sha256.

    A table that is already there is kept in ``.iblvideo-admin/replaced/<time>/`` if ``replace`` is true;
    otherwise it stays, whoever made it, and FileExistsError is raised.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.table(dict(table)).replace_schema_metadata({METADATA_KEY: json.dumps(provenance).encode()})
    temporary = video.work / f"{video.camera.name}.table.tmp"
    with _refusals(video.alf):
        try:
            with open(temporary, "wb") as file:
                pq.write_table(content, file)
                sync(file)
            digest = sha256(temporary)
            if replace:
                _keep_old(video)
                os.replace(temporary, video.table)
            else:
                _put(temporary, video.table)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(video.alf)
        write_json(video.provenance, {**provenance, "table": {"name": video.table.name, "sha256": digest}})
    return digest


def provenance_of(path: Path) -> dict[str, Any] | None:
    """The provenance in a table's metadata; None for a table that others made."""
    import pyarrow.parquet as pq

    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata[METADATA_KEY]) if METADATA_KEY in metadata else None


def _put(temporary: Path, final: Path) -> None:
    """Rename without replacing: a link fails where a rename would overwrite what came there meanwhile."""
    try:
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, "exists", str(final)) from error
        os.replace(temporary, final)


def _keep_old(video: Video) -> None:
    """Give the old table a second name before the new one takes its place, so that neither is ever missing."""
    if not os.path.lexists(video.table):
        return
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder = video.work / "replaced" / stamp
    folder.mkdir(parents=True, exist_ok=True)
    for path in (video.table, video.provenance):
        if not path.exists():
            continue
        kept = folder / path.name
        kept.unlink(missing_ok=True)
        try:
            os.link(path, kept)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(path, kept)
