"""The single pass: every frame is decoded once, all pictures are cut from it in memory and go in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import numpy as np

from iblvideo_admin.engines.base import Engine
from iblvideo_admin.rigs import Camera
from iblvideo_admin.tracking.pictures import Cutter
from iblvideo_admin.tracking.video import Reader


class _Stream:
    """One network's batches and the points that come back, in the order of the frames."""

    def __init__(self, name: str, shape: tuple[int, int], batch_size: int, engine: Engine) -> None:
        self._name, self._shape, self._size, self._engine = name, shape, batch_size, engine
        self._batch = np.empty((batch_size, *shape), np.uint8)
        self._filled = 0
        self._before: np.ndarray | None = None
        self._waiting: deque[tuple[Future[np.ndarray], int]] = deque()
        self._points: list[np.ndarray] = []
        self.found = 0

    def add(self, picture: np.ndarray) -> None:
        self._batch[self._filled] = picture
        self._filled += 1
        if self._filled == self._size:
            self._send(self._size)

    def finish(self) -> np.ndarray:
        """All points, (frames, points, 3) float32."""
        if self._filled:
            # DeepLabCut's last batch carries pictures of the batch before; mobilenets see the difference
            rest = slice(self._filled, None)
            self._batch[rest] = self._batch[self._filled - 1] if self._before is None else self._before[rest]
            self._send(self._filled)
        while self._waiting:
            self._take()
        return np.concatenate(self._points)

    def _send(self, wanted: int) -> None:
        self._waiting.append((self._engine.submit(self._name, self._batch), wanted))
        self._before, self._batch = self._batch, np.empty_like(self._batch)
        self._filled = 0
        while self._waiting and self._waiting[0][0].done():
            self._take()

    def _take(self) -> None:
        future, wanted = self._waiting.popleft()
        self._points.append(future.result()[:wanted])
        self.found += wanted


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
    streams = {name: _Stream(name, cutter.shape(name), batch_sizes[name], engine) for name in camera.networks}
    done = 0
    for luma in reader.frames():
        for name, picture in cutter.cut(luma).items():
            streams[name].add(picture)
        done += 1
        progress(min(stream.found for stream in streams.values()))
    reader.require_whole(done)
    points = {name: stream.finish() for name, stream in streams.items()}
    progress(done)
    return points
