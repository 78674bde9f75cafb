"""The median filter that the IBL applies to tracked points."""

from __future__ import annotations

import numpy as np

WIDTH = 5
ROWS_AT_ONCE = 100_000  # bounds the memory of an hour-long video


def median(points: np.ndarray, *, rows_at_once: int = ROWS_AT_ONCE) -> bool:
    """Filter x and y of (frames, points, 3) in place over time; likelihood stays.  False where nothing was done.

    Window of 5 frames, zeros beyond both ends, as DeepLabCut's ``filterpredictions`` (scipy's ``medfilt``)
    does it: so the first and last frames are pulled towards zero there and here.  Fewer than 5 frames are
    left as they are.
    """
    if len(points) < WIDTH:
        return False
    half = WIDTH // 2
    before = np.zeros((half, *points.shape[1:2], 2), points.dtype)
    for start in range(0, len(points), rows_at_once):
        stop = min(start + rows_at_once, len(points))
        after = points[stop : stop + half, :, :2]
        padding = np.zeros((half - len(after), *before.shape[1:]), points.dtype)
        block = np.concatenate([before, points[start:stop, :, :2], after, padding])
        before = block[-2 * half : -half].copy() if stop < len(points) else before
        views = [block[shift : shift + stop - start] for shift in range(WIDTH)]
        points[start:stop, :, :2] = np.median(np.stack(views), axis=0)
    return True
