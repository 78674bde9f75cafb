"""What the region stage's decoding costs against a full decode: ``python -m bench.regions [--frames N] [--part P]``.

An hour of the left camera (216,000 frames, 60 Hz) is made of one rendered group of pictures, encoded once and repeated
with new timestamps: each group starts anew, so that decoding one is like decoding any.  Two things are measured on a
part and scaled, since they are even: the full decode, and the 500 sampled frames (every P-th of them).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from bench.measure import Row, measured
from iblvideo_admin.demo.scenes import View
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.tracking.regions import sample
from iblvideo_admin.tracking.video import Reader

HOUR = 216_000
RATE = 60
CLIP = 250  # frames rendered
DECODED = 2000  # frames of which the full decode is measured
X264 = {"crf": "18", "preset": "veryfast"}  # about the left camera's 15 kB a frame on the rendered scene
# what the video is like, x264's options for it, and the largest part of a full decode that the stage may cost
VIDEOS: tuple[tuple[str, dict[str, str], float], ...] = (
    ("GOP 250", {"g": "250"}, 0.12),
    ("GOP 12", {"g": "12"}, 0.015),
)


def rendered() -> Iterator[np.ndarray]:
    """The left camera's frames, (1024, 1280) uint8."""
    view = View(CAMERAS["left"], seed=1)
    motion = view.motion(np.arange(CLIP) / RATE)
    return (view.frame(motion, number) for number in range(CLIP))


def encoded(frames: Iterable[np.ndarray], path: Path, options: Mapping[str, str]) -> None:
    """A clip of (1024, 1280) uint8 frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={**X264, **options})
        stream.width, stream.height, stream.pix_fmt = 1280, 1024, "yuv420p"
        picture = np.full((1024 * 3 // 2, 1280), 128, np.uint8)
        for frame in frames:
            picture[:1024] = frame
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))


def repeated(clip: Path, path: Path, frames: int) -> None:
    """A video of ``frames`` frames: the clip's packets again and again, each time later."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        tick = round(1 / (Fraction(RATE) * packets[0].time_base))
        stamps = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for turn in range(frames // CLIP):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                again = av.Packet(bytes(packet))
                again.pts, again.dts = pts + turn * CLIP * tick, dts + turn * CLIP * tick
                again.duration, again.time_base, again.stream = tick, packet.time_base, stream
                again.is_keyframe = packet.is_keyframe
                target.mux(again)


def rows(frames: int = HOUR, part: int = 10) -> list[Row]:
    """The table's rows, one per kind of video."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = list(rendered())
        for name, options, target in VIDEOS:
            clip, video = Path(folder) / "clip.mp4", Path(folder) / "video.mp4"
            encoded(pictures, clip, options)
            repeated(clip, video, frames)
            table.append(row(video, frames, part, name, target))
            video.unlink()
    return table


def row(video: Path, frames: int, part: int, name: str, target: float) -> Row:
    """Measure one video."""
    decode, _ = measured(lambda: sum(1 for _ in islice(Reader(video).frames(), DECODED)))
    whole = decode / DECODED * frames
    reader = Reader(video)
    index, _ = measured(lambda: reader.index)
    numbers = sample(reader.pictures, reader.info.rate)[::part]
    seen: list[int] = []
    seek, wall = measured(lambda: seen.extend(number for number, _ in reader.frames_at(numbers)))
    assert tuple(seen) == numbers
    stage = index + seek * part
    return Row(
        f"region stage of {frames} frames at {name}: CPU against a full decode",
        f"{stage / whole:.1%}",
        f"<= {target:.1%}" if frames == HOUR else "",
        f"decode {whole:.0f} s (from {DECODED} frames), index {index:.1f} s, {len(numbers) * part} samples "
        f"{seek * part:.0f} s (from {len(numbers)}; {wall * part:.0f} s wall), "
        f"{video.stat().st_size / frames / 1000:.1f} kB a frame",
    )


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--frames", type=int, default=HOUR, help=f"length of the videos (default: {HOUR})")
    options.add_argument("--part", type=int, default=10, help="decode every P-th sample only (default: 10)")
    given = options.parse_args()
    for line in rows(given.frames, given.part):
        print(f"{line.what}: {line.value} (target {line.target or 'none'}; {line.figures})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
