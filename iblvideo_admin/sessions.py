"""Where a session's files lie: one class owns every file name of a video and of what is made from it.

Layout (IBL): ``<subjects>/<subject>/<yyyy-mm-dd>/<nnn>/{raw_video_data,alf}``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS, Camera

RAW = "raw_video_data"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_NUMBER = re.compile(r"[0-9]{3}\Z")
_RAW_NAME = re.compile(r"_iblrig_(?P<camera>[a-z]+)Camera\.raw\.mp4\Z")


@dataclass(frozen=True)
class Video:
    """A raw video of a session, and the names of everything that is made from it."""

    session: Path
    camera: Camera

    @property
    def path(self) -> Path:
        """The raw video: read, never written."""
        return self.session / RAW / self.camera.raw_name

    @property
    def subject(self) -> str:
        """The mouse's nickname."""
        return self.session.parts[-3]

    @property
    def date(self) -> str:
        """The session's date, yyyy-mm-dd."""
        return self.session.parts[-2]

    @property
    def number(self) -> str:
        """The session's number on that day, three digits."""
        return self.session.parts[-1]

    @property
    def alf(self) -> Path:
        """The folder of the session's datasets."""
        return self.session / "alf"

    @property
    def table(self) -> Path:
        """The delivered table."""
        return self.alf / self.camera.table_name

    @property
    def work(self) -> Path:
        """Temporary files, replaced tables and what else goes with the tables but is no dataset."""
        return self.alf / ".iblvideo-admin"

    @property
    def provenance(self) -> Path:
        """The readable copy of what is in the table's metadata."""
        return self.work / f"{self.camera.name}.provenance.json"

    @property
    def key(self) -> str:
        """A short name that is the same for everybody who means this file: locks are called by it."""
        return hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()[:24]

    @classmethod
    def at(cls, path: Path) -> Video:
        """The video that a path means.  Raises ``path.not_a_video`` where the layout or the encoding is another."""
        path = Path(os.path.abspath(path))
        _require_utf8(path)
        name = _RAW_NAME.match(path.name)
        session = path.parent.parent
        known = name is not None and name["camera"] in CAMERAS
        if not known or path.parent.name != RAW or not is_session(session):
            raise UserError("path.not_a_video", f"{path} is not a raw video in the IBL's layout")
        assert name is not None
        return cls(session, CAMERAS[name["camera"]])


def is_session(folder: Path) -> bool:
    """Whether the folder's name and place are those of a session."""
    parts = folder.parts
    return len(parts) > 3 and bool(_NUMBER.match(parts[-1]) and _DATE.match(parts[-2]))


def find_videos(path: Path, cameras: Iterable[str] = ()) -> list[Video]:
    """All videos that a path means: itself, or those of the session or the many sessions below it, sorted.

    Raises ``path.missing``, ``path.not_a_video`` or ``path.no_videos``.
    """
    path = Path(os.path.abspath(path))
    wanted = set(cameras) or set(CAMERAS)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError:  # a name too long for any file system
        is_folder = exists = False
    if not exists:
        raise UserError("path.missing", f"{_shown(path)} does not exist")
    if not is_folder:
        return [Video.at(path)]
    videos = [
        Video(session, CAMERAS[name]) for session in sorted(_sessions(path)) for name in CAMERAS if name in wanted
    ]
    videos = [video for video in videos if os.path.lexists(video.path)]
    if not videos:
        raise UserError(
            "path.no_videos", f"there is no raw video of the {_list(wanted)} camera in or below {_shown(path)}"
        )
    return videos


def _list(cameras: set[str]) -> str:
    return " or ".join(name for name in CAMERAS if name in cameras)


def _sessions(start: Path) -> Iterator[Path]:
    """Session folders at or below a folder (or above it, where it is a session's own raw_video_data).

    Each folder is looked at once, however many links lead to it, and links last: a session is found under its
    own name where it has one below the start, and no loop of links goes round.
    """
    if start.name == RAW and is_session(start.parent):
        yield start.parent
        return
    folders, links = [start], deque[Path]()
    seen: set[tuple[int, int]] = set()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if is_session(folder):
                yield folder
                continue
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:  # not a folder, not for us, or a link that leads nowhere
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name == RAW:
                continue
            if entry.is_symlink():
                links.append(Path(entry.path))
            elif entry.is_dir():
                folders.append(Path(entry.path))


def require_inside(video: Video, subjects_dir: Path) -> None:
    """Refuse a video whose session or ``alf``, followed through all links, lies outside the subjects folder.

    The raw video itself, which is only read, may be a link to anywhere.

    Raises ``path.outside``, and ``path.not_a_video`` for a name that cannot be stored.
    """
    _require_utf8(video.path)
    root = os.path.realpath(subjects_dir)
    for path in (video.session, video.alf, video.work):
        real = os.path.realpath(path)
        if not Path(real).is_relative_to(root):
            what = f"{path} lies" if real == os.path.abspath(path) else f"{path} leads to {_shown(Path(real))},"
            raise UserError("path.outside", f"{what} outside {_shown(subjects_dir)}")


def _require_utf8(path: Path) -> None:
    """Neither JSON nor SQLite nor a terminal can hold any other name."""
    if _shown(path) != str(path):
        raise UserError(
            "path.not_a_video", f"the name of {_shown(path)} is not valid UTF-8", "Rename what is shown with \\x."
        )


def _shown(path: Path) -> str:
    r"""The path with bytes that are no UTF-8 written as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
