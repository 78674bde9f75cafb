"""A video with its points drawn in, frame by frame: memory does not grow with the video's length."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iblvideo_admin.errors import UserError
from iblvideo_admin.files import placed
from iblvideo_admin.reporting import traces as reading
from iblvideo_admin.reporting.labelled_frame import Labeller, as_rgb
from iblvideo_admin.reporting.mp4 import Writer
from iblvideo_admin.reporting.traces import Traces
from iblvideo_admin.sessions import RAW, Video
from iblvideo_admin.tracking.video import Reader

# what keeps up with half of the decoder's speed; a smaller file for the same look costs several times that
_PRESET, _CRF = "ultrafast", 22
_LARGE = 720  # lines from which a picture is drawn half as large, unless asked otherwise
_MOST_RATE, _USUAL_RATE = 1000.0, 30.0


@dataclass(frozen=True)
class Wish:
    """What is to be drawn: of ``video`` the frames from ``first`` to before ``end`` (None: to its end).

    ``table`` None is the video's own; points below ``threshold`` are faint; large pictures become half as large,
    apart from what is enlarged, unless ``full_size``.
    """

    video: Path
    table: Path | None = None
    first: int = 0
    end: int | None = None
    threshold: float = 0.9
    full_size: bool = False


class Source:
    """A video, its points, and which frames are wanted.

    Raises what the reader raises, ``path.missing``, ``table.not_usable``, and ``usage`` for a range without a frame.
    """

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.reader = Reader(wish.video)
        self.traces: Traces = reading.read(wish.table or reading.table_of(wish.video))
        self.camera = reading.camera_of(wish.video)
        if self.camera and (self.reader.info.width, self.reader.info.height) != (self.camera.width, self.camera.height):
            self.camera = None  # not what the rigs film: nothing is known of it
        frames = self.reader.expected
        self.end = frames if wish.end is None else min(wish.end, frames)
        if wish.first >= self.end:
            asked = f"{wish.first}:{'' if wish.end is None else wish.end}"
            raise UserError("usage", f"the video has {frames} frames, none of them in {asked}", "See --frames.")
        self.warnings: list[str] = []
        if frames != self.traces.frames:
            self.warnings.append(f"the video has {frames} frames, the table {self.traces.frames} rows")

    def labeller(self, *, panel: bool = True, width: int | None = None) -> Labeller:
        """What draws its frames; about as wide as ``width`` where that is given."""
        info = self.reader.info
        smaller = 2 if info.height >= _LARGE and not self.wish.full_size else 1
        if width is not None:
            smaller = max(round(info.width / width), 1)
        return Labeller(
            info, self.reader.levels, self.traces, self.camera, self.wish.threshold, smaller=smaller, panel=panel
        )

    def frames(self) -> Iterator[tuple[int, np.ndarray]]:
        """The wanted frames with their numbers; from far inside a long video without decoding all before."""
        if self.wish.first:
            yield from self.reader.frames_at(range(self.wish.first, self.end))
            return
        for number, luma in enumerate(self.reader.frames()):
            if self.wish.end is not None and number >= self.wish.end:
                return
            yield number, luma

    def require_free(self, out: Path) -> None:
        """Refuse a file that is the video or the table itself, or lies among raw videos.  Raises ``output.taken``."""
        if out.absolute().parent.name == RAW:
            raise UserError("output.taken", f"{out} would lie among raw videos, where nothing is ever written")
        for kept in (self.wish.video, self.traces.path):
            if out.exists() and out.samefile(kept):
                raise UserError("output.taken", f"{out} is what the picture is made of")


def write(source: Source, out: Path, progress: Callable[[int, int], None] = lambda *_: None) -> dict[str, Any]:
    """Write the labelled video, H.264 in an MP4; what it holds and how long that took.

    Raises ``output.taken``, ``output.not_writable`` and ``disk.full``; ``video.corrupt`` where no frame can be decoded.
    """
    source.require_free(out)
    begun, total = time.monotonic(), source.end - source.wish.first
    labeller = source.labeller()
    rate = source.reader.info.rate
    frames = 0
    with placed(out) as part:
        writer = Writer(part, *labeller.size, rate if 0 < rate <= _MOST_RATE else _USUAL_RATE, crf=_CRF, preset=_PRESET)
        try:
            for number, luma in source.frames():
                writer.write(labeller(number, luma))
                frames += 1
                progress(frames, max(total, frames))
            if not frames:
                raise UserError("video.corrupt", f"{source.wish.video}: none of these frames can be decoded")
            writer.end()
        except BaseException:
            writer.give_up()
            raise
    seconds = time.monotonic() - begun
    width, height = labeller.size
    return {
        "out": str(out), "frames": frames, "width": width, "height": height, "seconds": round(seconds, 2),
        "fps": round(frames / max(seconds, 1e-9), 1), "warnings": [*source.warnings, *source.reader.warnings],
    }  # fmt: skip


def write_picture(source: Source, out: Path, number: int) -> None:
    """Write one labelled frame as PNG.

    Raises what :func:`write` raises.
    """
    from PIL import Image

    source.require_free(out)
    rgb = picture(source, number)
    with placed(out) as part:
        Image.fromarray(rgb).save(part, format="PNG")


def picture(source: Source, number: int) -> np.ndarray:
    """One labelled frame, (height, width, 3) uint8 RGB.  Raises ``video.corrupt`` where it cannot be decoded."""
    for found, luma in source.reader.frames_at([number]):
        return as_rgb(source.labeller()(found, luma))
    raise UserError("video.corrupt", f"{source.wish.video}: frame {number} cannot be decoded")


def usual_name(video: Path) -> str:
    """What the labelled video of a raw one is called: whose it is, and from which camera."""
    try:
        of = Video.at(video)
    except UserError:
        return f"{video.stem}.labelled.mp4"
    return f"{of.subject}_{of.date}_{of.number}_{of.camera.name}.mp4"
