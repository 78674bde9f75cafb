"""An engine that tells where it was shown a picture, and what else the tests of whole videos share."""

import hashlib
from pathlib import Path

import numpy as np

from iblvideo_admin.rigs import NETWORKS
from iblvideo_admin.sessions import Video

SURE_AT = (300.0, 250.0)


def telling(network: str, images: np.ndarray) -> np.ndarray:
    """Every point sure at one place of the whole frame; in a window, x + row of the point tells the picture's grey."""
    count = len(NETWORKS[network].points)
    points = np.zeros((len(images), count, 3))
    if images.shape[1:] == (512, 640) or images.shape[1:] == (1024, 1280):
        points[...] = (*SURE_AT, 0.99)
        return points
    points[..., 0] = images.mean(axis=(1, 2))[:, None] + np.arange(count)
    points[..., 1] = np.arange(count)
    points[..., 2] = 0.5
    return points


def ramp(count: int, shape: tuple[int, int] = (512, 640)) -> list[np.ndarray]:
    """Evenly grey frames in an order that the median filter changes."""
    return [np.full(shape, (16 + 37 * number) % 200, np.uint8) for number in range(count)]


def left_behind(video: Video) -> list[str]:
    return [str(path) for path in video.alf.rglob("*") if not path.is_dir()] if video.alf.exists() else []


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


FULL = {"pix_fmt": "yuvj420p", "color_range": 2}
