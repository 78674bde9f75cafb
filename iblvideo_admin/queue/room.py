"""Whether there is room for a job: before it, on every disk that it writes to."""

from __future__ import annotations

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.filesystem import free_bytes
from iblvideo_admin.rigs import Camera
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

_BYTES_A_NUMBER = 8
_FRAMES_OF_A_BYTE = 1 / 1000  # a compressed frame has more than a thousand bytes, so this many frames at most


def table_bytes(camera: Camera, frames: float) -> float:
    """A table's size at most: x, y and likelihood of each point as float64."""
    return frames * len(camera.points) * 3 * _BYTES_A_NUMBER


def require(settings: Settings, video: Video) -> None:
    """Refuse a job for which there is no room.  Raises ``disk.full``, naming folder and figures."""
    try:
        wanted = table_bytes(video.camera, video.path.stat().st_size * _FRAMES_OF_A_BYTE)
    except OSError:  # the job itself says what is wrong with its video
        wanted = 0.0
    for folder, more in ((video.alf, wanted), (settings.state_dir, 0.0), (settings.scratch_dir, 0.0)):
        least = settings.min_free_gb * 1e9 + more
        try:
            free = free_bytes(folder)
        except OSError as error:
            raise UserError("state.not_usable", f"{folder}: {error.strerror}") from error
        if free < least:
            raise UserError(
                "disk.full",
                f"{folder} has {free / 1e9:.2f} GB free; {least / 1e9:.2f} GB are wanted before a job starts",
                "Free space there, or set min_free_gb to less.",
            )
