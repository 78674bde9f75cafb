"""Reading a raw video: what the container says, every frame once, or a few frames by number.

A frame here is its luma plane, (height, width) uint8, as it lies in the file.  The IBL's cameras are
monochrome, so luma is the whole picture; :attr:`Reader.levels` makes of it the grey levels that a conversion
to RGB would give.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import Camera

# Formats whose first plane is 8-bit luma; anything else is converted to the first of them.
_LUMA_FIRST = ("yuv420p", "yuvj420p", "gray", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12")
_FULL_RANGE = ("yuvj420p", "yuvj422p", "yuvj444p", "gray")
# A file that holds less than this part of the frames its index promises is a broken copy, not a rounding.
WHOLE = 0.98
# Never a format that names other files or addresses: ffmpeg would read them, whatever the file's own name is.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"


@dataclass(frozen=True)
class VideoInfo:
    """What the container says.  ``frames`` is its count (0 where it has none), not yet a count of pictures."""

    width: int
    height: int
    rate: float
    frames: int
    codec: str
    pixel_format: str


class Reader:
    """One raw video, opened and checked.

    Raises ``video.missing``, ``video.empty``, ``video.corrupt`` and, given a camera, ``video.wrong_size``.
    """

    def __init__(self, path: Path, camera: Camera | None = None) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._cut = False
        _require_bytes(path)
        with self._open() as container:
            stream = _picture_stream(container, path)
            context = stream.codec_context
            self.info = VideoInfo(
                context.width,
                context.height,
                float(stream.average_rate or stream.guessed_rate or Fraction(0)),
                stream.frames,
                context.name,
                context.pix_fmt or "",
            )
            self._first_pts = stream.start_time or 0
            full = context.color_range == ColorRange.JPEG or context.pix_fmt in _FULL_RANGE
        if camera is not None and (self.info.width, self.info.height) != (camera.width, camera.height):
            raise UserError(
                "video.wrong_size",
                f"{path} is {self.info.width}x{self.info.height}, "
                f"but the {camera.name} camera films {camera.width}x{camera.height}",
            )
        self.levels: np.ndarray = np.arange(256, dtype=np.uint8) if full else limited_to_full()

    @cached_property
    def expected(self) -> int:
        """How many frames to expect: the container's count, or a count of its packets where it has none."""
        if self.info.frames:
            return self.info.frames
        count = 0
        with self._open() as container:
            try:
                for packet in container.demux(_picture_stream(container, self.path)):
                    count += packet.size > 0
            except av.error.FFmpegError:  # the file ends inside a packet
                pass
        return count

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame in the order of presentation; each array is valid until the next one is asked for.

        Packets that cannot be decoded are passed over as ffmpeg does, and counted in :attr:`warnings`.
        """
        damaged = count = 0
        with self._open() as container:
            stream = _picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    break
                except av.error.FFmpegError as error:  # the file ends inside a packet
                    self._cut = True
                    self.warnings.append(f"reading stopped at frame {count}: {error.strerror}")
                    break
                self._cut |= packet.is_corrupt  # the demuxer's word for a packet that the file does not hold whole
                try:
                    decoded = packet.decode()
                except av.error.FFmpegError:
                    damaged += 1
                    continue
                for frame in decoded:
                    count += 1
                    yield self._luma(frame)
        if damaged:
            self.warnings.append(f"{damaged} damaged packets were passed over")

    def frames_at(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The frames of these numbers (ascending), by seeking to the keyframe before each.

        A number at which nothing can be decoded is left out.
        """
        rate = Fraction(self.info.rate).limit_denominator(1_000_000) or Fraction(1)
        with self._open() as container:
            stream = _picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            assert stream.time_base is not None
            ticks = float(1 / (rate * stream.time_base))
            for number in numbers:
                wanted = self._first_pts + number * ticks
                try:
                    container.seek(int(wanted), stream=stream, backward=True)
                    for frame in container.decode(stream):
                        if frame.pts is None or frame.pts >= wanted - ticks / 2:
                            yield number, self._luma(frame)
                            break
                except av.error.FFmpegError:
                    continue

    def require_whole(self, decoded: int) -> None:
        """Judge the number of frames decoded against the container's.

        Raises ``video.empty`` for none and ``video.truncated`` where many are missing, or the file ends before
        the last of them; a small difference is a warning.
        """
        if decoded == 0:
            raise UserError("video.empty", f"{self.path} holds no picture that can be decoded")
        if decoded < WHOLE * self.info.frames or (self._cut and decoded < self.info.frames):
            raise UserError(
                "video.truncated", f"{self.path} has {decoded} of the {self.info.frames} frames that its index lists"
            )
        if self.info.frames and decoded != self.info.frames:
            self.warnings.append(f"the container lists {self.info.frames} frames, {decoded} were decoded")

    def _open(self) -> Any:
        try:
            return av.open(str(self.path), metadata_errors="replace", options={"format_whitelist": _CONTAINERS})
        except FileNotFoundError as error:
            raise UserError("video.missing", f"{self.path} is gone") from error
        except PermissionError as error:
            raise UserError("video.not_readable", f"{self.path} may not be read") from error
        except (av.error.FFmpegError, OSError) as error:
            raise UserError("video.corrupt", f"{self.path} cannot be opened: {error.strerror}") from error

    def _luma(self, frame: av.VideoFrame) -> np.ndarray:
        if (frame.width, frame.height) != (self.info.width, self.info.height):
            raise UserError("video.corrupt", f"{self.path} changes its size to {frame.width}x{frame.height}")
        if frame.format.name not in _LUMA_FIRST:
            frame = frame.reformat(format="yuv420p")
        plane = frame.planes[0]
        lines: np.ndarray = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return lines[: frame.height, : frame.width]


def limited_to_full() -> np.ndarray:
    """The table, (256,) uint8, from limited-range luma to full-range grey as swscale converts it to RGB.

    A ramp is sent through swscale itself: a rounded formula is off by one for half of the levels.
    """
    ramp = av.VideoFrame(256, 2, "yuv420p")
    for plane, values in zip(ramp.planes, (np.arange(256), np.full(128, 128), np.full(128, 128)), strict=True):
        lines = np.zeros((plane.height, plane.line_size), np.uint8)
        lines[:, : len(values)] = values
        plane.update(lines.tobytes())
    return ramp.to_ndarray(format="rgb24")[0, :, 1].copy()


def _require_bytes(path: Path) -> None:
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


def _picture_stream(container: Any, path: Path) -> Any:
    if not container.streams.video or container.streams.video[0].codec_context is None:
        raise UserError("video.corrupt", f"{path} holds no video")
    return container.streams.video[0]
