"""The single pass: every frame is decoded once, all pictures are cut from it in memory and go in batches.

Decoding goes on while the networks run: an engine's ``submit`` returns at once until a few batches are under way,
and blocks then.  So the memory holds these batches, one more per network that is being filled, and the points.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import numpy as np

from iblvideo_admin.engines.base import Engine
from iblvideo_admin.rigs import Camera
from iblvideo_admin.tracking.pictures import Cutter
from iblvideo_admin.tracking.video import Reader

GROWTH = 4096  # frames by which the points' array grows


class _Stream:
    """One network's batches and the points that come back, in the order of the frames."""

    def __init__(self, name: str, batch_size: int, cutter: Cutter, engine: Engine) -> None:
        self._name, self._size, self._cutter, self._engine = name, batch_size, cutter, engine
        height, width = cutter.shape(name)
        self._pictures = bytearray(batch_size * height * width)
        self._batch = np.frombuffer(self._pictures, np.uint8).reshape(batch_size, height, width)
        self._filled = 0
        self._full_before = False
        self._waiting: deque[tuple[Future[np.ndarray], int]] = deque()
        self._points: np.ndarray | None = None
        self.found = 0

    @property
    def place(self) -> np.ndarray:
        """Where the next picture belongs, (height, width) uint8."""
        place: np.ndarray = self._batch[self._filled]
        return place

    def advance(self) -> None:
        """The picture is in its place."""
        self._filled += 1
        if self._filled == self._size:
            self._send()
            self._full_before = True

    def finish(self) -> np.ndarray:
        """All points, (frames, points, 3) float32."""
        if self._filled:
            # DeepLabCut's last batch carries pictures of the batch before, as ours does that is filled anew every
            # time; mobilenets see the difference. Where there is none before, the last picture is repeated.
            if not self._full_before:
                self._batch[self._filled :] = self._batch[self._filled - 1]
            self._send()
        while self._waiting:
            self._take()
        assert self._points is not None
        self._points.resize((self.found, *self._points.shape[1:]), refcheck=False)
        return self._points

    def _send(self) -> None:
        # the copy in other levels is the engine's own, so the next pictures may be written over these
        pictures = np.frombuffer(self._cutter.levelled(self._name, self._pictures), np.uint8)
        self._waiting.append((self._engine.submit(self._name, pictures.reshape(self._batch.shape)), self._filled))
        self._filled = 0
        while self._waiting and self._waiting[0][0].done():
            self._take()

    def _take(self) -> None:
        future, wanted = self._waiting.popleft()
        points = future.result()[:wanted]
        if self._points is None:
            self._points = np.empty((0, *points.shape[1:]), np.float32)
        end = self.found + wanted
        if end > len(self._points):
            # realloc moves no bytes of a large array on Linux: a list of blocks would need as many again at the end
            self._points.resize((end + GROWTH, *self._points.shape[1:]), refcheck=False)
        self._points[self.found : end] = points
        self.found = end


def run(
    reader: Reader,
    camera: Camera,
    cutter: Cutter,
    engine: Engine,
    batch_sizes: Mapping[str, int],
    progress: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """Track every frame; per network (frames, points, 3) float32 in the network's own pixels.

    ``progress`` gets the number of frames whose points have all been found.
    Raises what the reader and the engine raise; ``video.empty`` and ``video.truncated`` at the end.
    """
    streams = {name: _Stream(name, batch_sizes[name], cutter, engine) for name in camera.networks}
    done = 0
    for luma in reader.frames():
        cutter.cut(luma, {name: stream.place for name, stream in streams.items()})
        for stream in streams.values():
            stream.advance()
        done += 1
        progress(min(stream.found for stream in streams.values()))
    reader.require_whole(done)
    points = {name: stream.finish() for name, stream in streams.items()}
    progress(done)
    return points
