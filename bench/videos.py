"""Videos to measure with: the drawn mouse under so much camera noise that a frame has a rig's size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange

from iblvideo_admin.demo.scenes import View
from iblvideo_admin.rigs import Camera

# kB a frame, as measured on the IBL's own recordings; x264 is told to meet them
SIZES = {"left": 15.0, "right": 8.9, "body": 16.0}
NOISE = 3.0  # standard deviation in levels
DRAWN = 60  # frames, shown forwards and backwards again and again: drawing takes far longer than all that is measured
MARGIN = 64  # px by which the noise is shifted at most: so that no two frames have the same


def write(path: Path, camera: Camera, frames: int) -> float:
    """H.264, yuv420p in limited range, with x264's B-frames and groups of 250; gives the kB a frame that it has."""
    rate = round(camera.rates[0])
    generator = np.random.default_rng(0)
    view = View(camera, seed=1)
    motion = view.motion(np.arange(min(DRAWN, frames)) / rate)
    drawn = [view.frame(motion, number).astype(np.int16) for number in range(min(DRAWN, frames))]
    noise = generator.normal(0, NOISE, (camera.height + MARGIN, camera.width + MARGIN)).round().astype(np.int16)
    picture = np.full((camera.height * 3 // 2, camera.width), 128, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "yuv420p"
        stream.bit_rate = int(8000 * SIZES[camera.name] * rate)
        for number in range(frames):
            turn, place = divmod(number, len(drawn))
            y, x = generator.integers(0, MARGIN, 2)
            grain = noise[y : y + camera.height, x : x + camera.width]
            picture[: camera.height] = np.clip(drawn[-1 - place if turn % 2 else place] + grain, 16, 235)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base, frame.color_range = number, Fraction(1, rate), ColorRange.MPEG
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.stat().st_size / frames / 1000
