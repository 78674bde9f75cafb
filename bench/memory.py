"""How the memory grows with a video's length, with networks that do nothing: ``python -m bench.memory``.

Each length is tracked from the file to the delivered table in a process of its own, whose peak resident memory counts.
The body camera's videos are real: one encoded group of pictures, repeated.  The left camera's 100,000 frames would
take an hour's part to decode, so one decoded frame is given out again and again; all else is as it is.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from bench.measure import Row
from bench.passes import ANCHORS, WEIGHTS, NullEngine
from bench.regions import CLIP, RATE, repeated
from iblvideo_admin.demo.scenes import View
from iblvideo_admin.rigs import CAMERAS, Camera
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import track
from iblvideo_admin.tracking.video import Reader

SHORT, LONG = 1_000, 100_000
TARGET = 50  # bytes a frame beyond the table


class OneFrameAgain(Reader):
    """Gives the first frame out ``count`` times."""

    count = 0

    def frames(self) -> Iterator[np.ndarray]:
        """The same array again and again."""
        for luma in itertools.islice(super().frames(), 1):
            yield from itertools.repeat(luma, self.count)

    def require_whole(self, decoded: int) -> None:
        """Nothing was counted by the container."""


def peak() -> int:
    """Bytes of this process's largest resident memory (of its own: ``ru_maxrss`` begins with its parent's)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return 1024 * int(found[1])


def clip(path: Path, camera: Camera) -> None:
    """A group of pictures of a still scene: cheap to decode, which is not what is measured."""
    view = View(camera, seed=1)
    picture = np.full((camera.height * 3 // 2, camera.width), 128, np.uint8)
    picture[: camera.height] = view.frame(view.motion(np.zeros(1)), 0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": str(CLIP)})
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "yuv420p"
        for _ in range(CLIP):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())


def tracked(camera: Camera, frames: int) -> int:
    """Peak bytes of a process that tracks a video of so many frames."""
    with tempfile.TemporaryDirectory() as folder:
        video = Video(Path(folder) / "bench/2026-01-15/001", camera)
        video.path.parent.mkdir(parents=True)
        clip(Path(folder) / "clip.mp4", camera)
        if camera.name == "body":
            repeated(Path(folder) / "clip.mp4", video.path, frames)
        else:
            shutil.copy(Path(folder) / "clip.mp4", video.path)
        command = [sys.executable, "-m", "bench.memory", "--track", str(video.path), "--frames", str(frames)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def row(camera: Camera) -> Row:
    """Measure one camera."""
    short, long = tracked(camera, SHORT), tracked(camera, LONG)
    slope = (long - short) / (LONG - SHORT)
    table = 8 * 3 * len(camera.points)
    source = "decoded" if camera.name == "body" else "one decoded frame given out again"
    return Row(
        f"{camera.name}: memory with the null engine, {LONG} frames against {SHORT}: bytes a frame beyond the table",
        f"{slope - table:.0f}",
        f"<= {TARGET}",
        f"peak {short / 1e6:.0f} and {long / 1e6:.0f} MB: {slope:.0f} bytes a frame, the table has {table}; {source}",
    )


def rows() -> list[Row]:
    """A row for the widest table and one for the narrowest."""
    return [row(CAMERAS[name]) for name in ("left", "body")]


def main() -> int:
    """Track one video and tell the peak (the child), or measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--track", type=Path, help="track this video and print this process's peak")
    options.add_argument("--frames", type=int, default=LONG, help="how many frames it has, or is to seem to have")
    given = options.parse_args()
    if given.track is None:
        for line in rows():
            print(f"{line.what}: {line.value} (target {line.target}; {line.figures})")
        return 0
    video = Video.at(given.track)
    if video.camera.name != "body":
        OneFrameAgain.count = given.frames
        track.Reader = OneFrameAgain  # type: ignore[attr-defined]
    done = track.track(video, NullEngine(), WEIGHTS, by_hand=ANCHORS[video.camera.name])
    assert done.frames == given.frames
    print(peak())
    return 0


if __name__ == "__main__":
    sys.exit(main())
