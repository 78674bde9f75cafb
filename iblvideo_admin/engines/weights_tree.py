"""A version of the weights as one folder: unpacked safely, installed whole, and found again as it was.

The role ``weights`` installs the same trees with the same marker.  A fingerprint covers names and contents, so that a
folder and a .zip of the same files have the same one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iblvideo_admin.engines import weights
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import read_json, sha256, sync_folder, write_json
from iblvideo_admin.rigs import NETWORKS

MARKER = ".iblvideo-admin.json"
MOST_BYTES = 20 * 10**9  # all networks of a version together have less than one
_MOST_FILES = 10_000


@dataclass(frozen=True)
class Tree:
    """An installed version.  ``problem`` is what is wrong with it, empty where nothing is known to be."""

    name: str
    folder: Path
    fingerprint: str
    archive_sha256: str
    problem: str

    def as_data(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "folder": str(self.folder)}


def root(weights_dir: Path) -> Path:
    """The folder in which all versions lie; ``weights_dir`` is one of them, or the link to the one in use."""
    return weights_dir.parent


def trees(weights_dir: Path) -> list[Tree]:
    """All versions that are installed; none of their files is read."""
    folder = root(weights_dir)
    if not folder.is_dir():
        return []
    entries = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink()]
    return [look(path) for path in entries if not path.name.startswith(".") and _is_weights(path)]


def look(folder: Path, *, thorough: bool = False) -> Tree:
    """A version; ``thorough`` reads every file and compares it with what was installed."""
    marker = read_json(folder / MARKER) or {}
    fingerprint, archive = str(marker.get("fingerprint") or ""), str(marker.get("archive_sha256") or "")
    try:
        weights.load(folder, NETWORKS)
        problem = ""
        if thorough and fingerprint and fingerprint_of(folder) != fingerprint:
            problem = "its files are not those that were installed"
    except UserError as error:
        problem = error.message
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    return Tree(folder.name, folder, fingerprint, archive, problem)


def fingerprint_of(folder: Path) -> str:
    """Names a tree's content.  Raises OSError, and ``weights.damaged`` for a link that leads out of it."""
    digest = hashlib.sha256()
    top = os.path.realpath(folder)
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base, name)
            if not Path(os.path.realpath(path)).is_relative_to(top):
                raise UserError("weights.damaged", f"{path} leads out of the weights folder")
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name, path in sorted(files.items()):
        if path.name != MARKER:
            digest.update(f"{name}\0{sha256(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def install(archive: Path, dest: Path, archive_sha256: str) -> Tree:
    """Unpack, check and rename into place: what is at ``dest`` is always whole.

    Raises ``weights.damaged``, ``weights.missing``, ``weights.taken`` and OSError.
    """
    new = dest.with_name(f".{dest.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        unpack(archive, new)
        top = _networks_folder(new)
        weights.load(top, NETWORKS)
        for path in top.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        top.chmod(0o755)
        write_json(top / MARKER, {"fingerprint": fingerprint_of(top), "archive_sha256": archive_sha256})
        (top / MARKER).chmod(0o644)
        _sync(top)
        old = dest.with_name(f".{dest.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if os.path.lexists(dest):
            require_ours(dest)
            os.replace(dest, old)
        os.replace(top, dest)
        sync_folder(dest.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return look(dest)


def require_ours(dest: Path) -> None:
    """Refuse to touch what others made.  Raises ``weights.taken``."""
    if os.path.lexists(dest) and (dest.is_symlink() or read_json(dest / MARKER) is None):
        raise UserError("weights.taken", f"{dest} was not made by iblvideo-admin")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip of plain files into a new folder; nothing is written where one member is anything else.

    Raises ``weights.damaged``.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                _require_plain(archive, member)
            if len(members) > _MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
                raise UserError("weights.damaged", f"{archive} holds far more than any networks do")
            _require_room(folder, sum(member.file_size for member in members))
            folder.mkdir()
            for member in members:
                opened.extract(member, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UserError("weights.damaged", f"{archive} is no .zip, or a damaged one: {error}") from error


def _require_plain(archive: Path, member: zipfile.ZipInfo) -> None:
    parts = member.filename.replace("\\", "/").split("/")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise UserError("weights.damaged", f"{archive}: its member {member.filename!r} would leave the folder")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError("weights.damaged", f"{archive}: its member {member.filename!r} is a link or a device")


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder.parent).free
    if size > free:
        raise UserError("disk.full", f"{folder.parent}: {size / 1e9:.1f} GB are wanted, {free / 1e9:.1f} GB are free")


def _networks_folder(folder: Path) -> Path:
    """The folder itself, or the one folder in it, whichever holds the networks.  Raises ``weights.damaged``."""
    inside = [path for path in sorted(folder.iterdir()) if path.name != "__MACOSX"]
    for top in [folder, *(inside if len(inside) == 1 and inside[0].is_dir() else [])]:
        if _is_weights(top):
            return top
    raise UserError("weights.damaged", "the archive holds none of the networks' folders")


def _is_weights(folder: Path) -> bool:
    return any(next(folder.glob(network.folder), None) for network in NETWORKS.values())


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
