"""Opening a raw video's file: what is no video ends here, with a code."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from iblvideo_admin.errors import UserError

# Never a format that names other files or addresses: ffmpeg would read them, whatever the file's own name is.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"


def opened(path: Path, **options: str) -> Any:
    """The container, open for reading with the demuxer's options; use it as a context manager.

    Raises ``video.missing``, ``video.not_readable`` and ``video.corrupt``.
    """
    try:
        return av.open(str(path), metadata_errors="replace", options={"format_whitelist": _FORMATS, **options})
    except FileNotFoundError as error:
        raise UserError("video.missing", f"{path} is gone") from error
    except PermissionError as error:
        raise UserError("video.not_readable", f"{path} may not be read") from error
    except (av.error.FFmpegError, OSError) as error:
        reason = f"cannot be opened as MP4, MOV, Matroska or AVI: {error.strerror}"
        raise UserError("video.corrupt", f"{path} {reason}") from error


def videos(container: Any) -> list[Any]:
    """The video streams that have a decoder; the picture on a file's cover is none."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]


def picture_stream(container: Any, path: Path) -> Any:
    """The first of :func:`videos`.  Raises ``video.corrupt`` where there is none."""
    streams = videos(container)
    if not streams:
        raise UserError("video.corrupt", f"{path} holds no video")
    return streams[0]


def promised(container: Any, stream: Any, *, cut: bool) -> int:
    """How many pictures the container says it holds, 0 where it does not say.

    An AVI's header counts ticks of its clock, also those without a picture (ffmpeg writes such beside B-frames): no
    promise, unless the file is cut, when there is no better.
    """
    return 0 if container.format.name == "avi" and not cut else int(stream.frames)


def require_bytes(path: Path) -> None:
    """Refuse what is no file or has no bytes, before a decoder waits for it."""
    try:
        status = path.stat()
    except PermissionError as error:
        raise UserError("video.not_readable", f"{path} may not be read") from error
    except OSError as error:  # gone, or a link that leads nowhere
        raise UserError("video.missing", f"{path} is gone") from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError("video.corrupt", f"{path} is no file")
    if status.st_size == 0:
        raise UserError("video.empty", f"{path} has no bytes")


def require_length(stream: Any, path: Path) -> None:
    """Refuse a file that ends before the last picture that its index lists; nothing is read for that.

    Raises ``video.truncated``.  Containers whose index has no sizes (Matroska) are found out while they are read.
    """
    index = stream.index_entries
    if len(index) == 0:
        return
    last = index[len(index) - 1]
    end, there = last.pos + last.size, path.stat().st_size
    if end > there:
        raise UserError("video.truncated", f"{path} has {there} bytes, but its index lists pictures up to byte {end}")


def left_out(stream: Any, path: Path) -> int:
    """How many of a container's frames its edit list leaves out before even their packets are read."""
    listed, index = stream.frames, len(stream.index_entries)
    if not 0 < index < listed:
        return 0
    with opened(path, ignore_editlist="1") as container:
        return max(0, len(picture_stream(container, path).index_entries) - index)
