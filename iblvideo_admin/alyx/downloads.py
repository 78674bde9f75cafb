"""Raw videos that are not here: fetched beside the work, checked, put into place, and taken away again where wished."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from iblvideo_admin.alyx import fetching
from iblvideo_admin.alyx.book import Book, Task
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.session_rows import Remote
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import sync_folder
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.sessions import Video, require_inside
from iblvideo_admin.settings import Settings

_FOLDER = ".iblvideo-admin"  # beside the video: the same disk, and no scan looks into it


class Download:
    """One video, fetched in a thread of its own: the outbox must not wait for hours of data."""

    def __init__(self, settings: Settings, client: Client, task: Task, video: Video, remote: Remote) -> None:
        self.task, self.video, self.remote = task, video, remote
        self.error: TroubleError | UserError | None = None
        self._settings = settings
        self._place = task.place
        self._source = source(client, remote.url)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="download", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended; ``error`` then says how, None: well."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End it soon; what came is kept for the next time."""
        self._stopped = True
        self._thread.join(5)

    def _work(self) -> None:
        try:
            with Ledger(self._settings.state_dir) as ledger:
                self._fetch(Book(ledger, self._place))
        except (TroubleError, UserError) as error:
            self.error = error
        except OSError as error:
            self.error = UserError("output.not_writable", f"{self.video.path.parent}: {error.strerror}")

    def _fetch(self, book: Book) -> None:
        video, remote, settings = self.video, self.remote, self._settings
        require_inside(video, settings.subjects_dir)
        folder = video.path.parent / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{remote.dataset}.tmp"
        room = settings.min_free_gb * 1e9
        fetching.fetch(
            self._source, target, limit_s=settings.alyx_limit_s, free_bytes=room, going_on=lambda: not self._stopped
        )
        if target.stat().st_size != remote.size or fetching.hash_of(target, "md5") != remote.md5:
            fetching.forget(target)
            raise UserError("download.damaged", f"{remote.url}: size or md5 is not what Alyx says")
        # the ledger first: what it does not hold is never removed, whoever put it there
        book.ledger.change(
            "INSERT OR REPLACE INTO downloads (path, task, md5, identity, since) VALUES (?, ?, ?, ?, ?)",
            (str(video.path), self.task.id, remote.md5, _identity(target), time.time()),
        )
        with suppress(FileExistsError):  # somebody copied it there meanwhile: that one is theirs
            _put(target, video.path)
        sync_folder(video.path.parent)
        fetching.forget(target)
        with suppress(OSError):
            folder.rmdir()


def _identity(path: Path) -> str:
    """What no other file has that comes to this place, not even one of the same content.  Raises OSError."""
    status = path.lstat()
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _put(target: Path, final: Path) -> None:
    """Give it its name without replacing anything.  Raises FileExistsError."""
    try:
        os.link(target, final)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(final):
            raise FileExistsError(str(final)) from None
        os.replace(target, final)


def source(client: Client, url: str) -> fetching.Http:
    """Where a file is to be had.  The login goes to the data server that ONE's parameters name, and to no other."""
    server, login, password = client.one.data_server()
    mine, asked = urlsplit(server), urlsplit(url)
    if (mine.scheme, mine.netloc) == (asked.scheme, asked.netloc):
        return fetching.Http(url, login, password)
    return fetching.Http(url)


def remove(book: Book, task: Task) -> list[Path]:
    """Remove the videos that were fetched for a task, each only where it is still the very file; gives which."""
    removed = []
    rows = book.ledger.ask("SELECT path, md5, identity FROM downloads WHERE task = ? AND removed IS NULL", (task.id,))
    for name, md5, identity in rows:
        path = Path(name)
        try:
            ours = _identity(path) == identity and fetching.hash_of(path, "md5") == md5
            if ours and (job := book.ledger.job_of(Video.at(path))) is not None:
                ours = not book.is_wanted_by_another(job.id, task.id)
            if ours:
                path.unlink()
                removed.append(path)
        except OSError:
            pass
        book.ledger.change("UPDATE downloads SET removed = ? WHERE path = ?", (time.time(), name))
    return removed
