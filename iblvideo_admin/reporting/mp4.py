"""A video that plays in a browser, written frame by frame: whole under its name, or not there at all."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange

_AHEAD = 4  # frames that wait for the encoder


class Writer:
    """H.264, yuv420p in limited range, its index in front so that it plays while it loads.

    A thread of its own encodes, while the next frames are drawn.  Raises OSError, a frame or two late.
    """

    def __init__(self, path: Path, width: int, height: int, rate: float, *, crf: int, preset: str) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"crf": str(crf), "preset": preset}
        fraction = Fraction(rate).limit_denominator(1001)
        self._stream: Any = self._container.add_stream("libx264", rate=fraction, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.color_range = ColorRange.MPEG
        # on few cores more of them cost more than they gain: the decoder has use for the others
        self._stream.thread_count = min(max((os.cpu_count() or 1) // 2, 1), 4)
        self._encoder = ThreadPoolExecutor(1, "encoder")
        self._waiting: deque[Future[None]] = deque()
        self._buffers = [np.empty((height * 3 // 2, width), np.uint8) for _ in range(_AHEAD + 1)]
        self._number = 0

    def write(self, planes: np.ndarray) -> None:
        """One frame, (height * 3 / 2, width) uint8: the planes one below the other; it may change afterwards."""
        while len(self._waiting) >= _AHEAD:
            self._waiting.popleft().result()
        buffer = self._buffers[self._number % len(self._buffers)]
        np.copyto(buffer, planes)
        self._number += 1
        self._waiting.append(self._encoder.submit(self._encode, buffer))

    def end(self) -> None:
        """Write out what the encoder still holds."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
            self._container.mux(self._stream.encode(None))
        finally:
            self._encoder.shutdown()
        self._container.close()

    def give_up(self) -> None:
        """Close the file as it is."""
        self._encoder.shutdown(cancel_futures=True)
        with suppress(OSError, ValueError):
            self._container.close()

    def _encode(self, planes: np.ndarray) -> None:
        frame = av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
        frame.color_range = ColorRange.MPEG
        self._container.mux(self._stream.encode(frame))
