"""What the tests of videos share."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.tracking.video import Reader

SHAPE = (48, 64)

Writer = Callable[..., Path]

Numbered = Callable[[int, tuple[int, int]], list[np.ndarray]]


def decoded(reader: Reader) -> list[np.ndarray]:
    return [frame.copy() for frame in reader.frames()]


def refused(code: str, path: Path, camera: str = "") -> str:
    with pytest.raises(UserError) as caught:
        Reader(path, CAMERAS.get(camera))
    assert caught.value.code == code
    assert path.name in caught.value.message
    return caught.value.message


def cut(path: Path, part: float) -> None:
    os.truncate(path, int(path.stat().st_size * part))


def cut_bytes(path: Path, count: int) -> None:
    os.truncate(path, path.stat().st_size - count)
