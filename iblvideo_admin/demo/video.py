"""Write a video frame by frame, whole or not at all."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange

if TYPE_CHECKING:
    from typing_extensions import Self


class VideoWriter:
    """A new H.264 video of grey frames, yuv420p in limited range; the file appears when all is written.

    Use as a context manager.  Until it ends well the frames are in a hidden file beside the target; a failure
    removes that file and leaves what was there before.
    """

    def __init__(self, path: Path, width: int, height: int, rate: float, crf: int, preset: str) -> None:
        self._path, self._part = path, path.with_name(f".{path.stem}.{os.getpid()}.part")
        self._container = av.open(str(self._part), "w", format="mp4")
        fraction = Fraction(rate).limit_denominator(1000)
        options = {"crf": str(crf), "preset": preset}
        self._stream = self._container.add_stream("libx264", rate=fraction, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.color_range = ColorRange.MPEG
        self._stream.thread_count = 1
        self._picture = np.full((height * 3 // 2, width), 128, np.uint8)
        self._height = height

    def write(self, luma: npt.NDArray[np.uint8]) -> None:
        """Add one frame of limited range luma, shape (height, width)."""
        self._picture[: self._height] = luma
        frame = av.VideoFrame.from_ndarray(self._picture, format="yuv420p")
        frame.color_range = ColorRange.MPEG
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None:
                publish(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)


def publish(part: Path, path: Path) -> None:
    """Make a finished temporary file durable and give it its name, both in the same folder."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
