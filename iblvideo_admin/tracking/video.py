"""Reading a raw video: what the container says, every frame once, or a few frames by number.

A frame here is its luma plane, (height, width) uint8, as it lies in the file.  The IBL's cameras are
monochrome, so luma is the whole picture; :attr:`Reader.levels` makes of it the grey levels that a conversion
to RGB would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from iblvideo_admin.errors import UserError
from iblvideo_admin.rigs import Camera
from iblvideo_admin.tracking import extent, luma, seeking
from iblvideo_admin.tracking.container import (
    left_out,
    opened,
    picture_stream,
    promised,
    require_bytes,
    require_length,
    videos,
)
from iblvideo_admin.tracking.luma import limited_to_full

__all__ = ["WHOLE", "Reader", "VideoInfo", "limited_to_full"]

# Codecs that show a damaged frame as if it were sound, and have no word for it but in libav's log. Told to refuse
# damage (`err_detect`), their decoders do; each of their packets is one frame, given at once.
_SILENT_ABOUT_DAMAGE = frozenset({"mjpeg"})
# A file that holds less than this part of the frames its index promises is a broken copy, not a rounding.
WHOLE = 0.98


@dataclass(frozen=True)
class VideoInfo:
    """What the container says.  ``frames`` is its count (0 where it has none), not yet a count of pictures.

    ``seconds`` is its duration, 0 where it has none.
    """

    width: int
    height: int
    rate: float
    frames: int
    codec: str
    pixel_format: str
    seconds: float


@dataclass
class _Tally:
    """What came of a file's packets in one pass.  ``place`` and its kin say between which frames."""

    left_out: int
    one_a_packet: bool
    cut: bool
    packets: int = 0
    outside: int = 0
    frames: int = 0
    refused: int = 0
    refused_at: tuple[int, int] = (0, 0)
    damaged: int = 0
    damaged_at: int = 0
    turned: int = 0
    stopped: str = ""

    @property
    def silent(self) -> int:
        """How many packets gave neither a frame nor an error: the decoder lacks the pictures that they refer to."""
        return max(0, self.packets - self.frames - self.refused - self.outside) if self.one_a_packet else 0

    def warnings(self) -> Iterator[str]:
        """What a person should know, a sentence each."""
        if self.turned:
            yield f"the file asks players to turn the picture by {self.turned} degrees: it was taken as filmed"
        if self.outside + self.left_out:
            yield f"frames outside the file's edit list, without a row: {self.outside + self.left_out}"
        if self.refused:
            early, late = self.refused_at
            yield (
                f"damaged packets passed over: {self.refused}, the first between frames {early} and {late}; "
                "from there on a row stands for a later moment than its number says"
            )
        if self.damaged:
            yield f"frames decoded from damaged data: {self.damaged}, the first is frame {self.damaged_at}"
        if self.silent:
            yield f"packets that gave no picture: {self.silent}, what they refer to is not there"
        if self.stopped:
            yield f"reading stopped at frame {self.frames}: {self.stopped}"
        elif self.cut:
            yield "the end of the file is cut off"


class _Forgiving:
    """Decodes packets as ffmpeg does, damage included, beside a decoder that refuses damage.

    A sound file is decoded once, by the strict one.  From its first refusal on, the frames are those of a decoder that
    has forgiven everything since the file's first packet, as in a plain decode; the strict one only complains.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self._packets: Iterator[Any] | None = None

    def decode(self, packet: Any) -> tuple[list[av.VideoFrame], bool]:
        """The frames of a strict decoder's packet, and whether it refuses them.  Raises what a plain decode raises."""
        self._seen += 1
        frames: list[av.VideoFrame] = []
        complained = False
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            complained = True
            if self._packets is None:
                self._packets = self._from_the_start()
                for earlier in islice(self._packets, self._seen - 1):
                    with suppress(av.error.FFmpegError):
                        earlier.decode()
        if self._packets is not None:
            frames = next(self._packets).decode()
        return frames, complained

    def _from_the_start(self) -> Iterator[Any]:
        with opened(self._path) as container:
            yield from container.demux(picture_stream(container, self._path))


class Reader:
    """One raw video, opened and checked.

    Raises ``video.missing``, ``video.not_readable``, ``video.empty``, ``video.corrupt``, ``video.truncated`` where
    the index lists pictures beyond the file's end and, given a camera, ``video.wrong_size``.
    """

    def __init__(self, path: Path, camera: Camera | None = None) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._passed_over = 0  # packets without a row that are no loss of the file's: see _require_listed
        require_bytes(path)
        with opened(path) as container:
            stream = picture_stream(container, path)
            if (count := len(videos(container))) > 1:
                self.warnings.append(f"the file holds {count} videos: the first of them is tracked")
            context = stream.codec_context
            self.info = VideoInfo(
                context.width,
                context.height,
                float(stream.average_rate or stream.guessed_rate or Fraction(0)),
                stream.frames,
                context.name,
                context.pix_fmt or "",
                max(0.0, (container.duration or 0) / av.time_base),
            )
            self.levels: np.ndarray = luma.levels(context)
            if camera is not None and (self.info.width, self.info.height) != (camera.width, camera.height):
                raise UserError(
                    "video.wrong_size",
                    f"{path} is {self.info.width}x{self.info.height}, "
                    f"but the {camera.name} camera films {camera.width}x{camera.height}",
                )
            require_length(stream, path)
            self._cut = extent.is_cut(path)
            self._promised = promised(container, stream, cut=self._cut)
            self._left_out = left_out(stream, path)

    @cached_property
    def expected(self) -> int:
        """How many frames to expect: the container's count, or a count of its packets where it has none."""
        return self._promised or self.index.pictures

    @cached_property
    def pictures(self) -> int:
        """How many frames the packets promise; nothing is decoded for that.

        Raises ``video.empty`` where there are none and ``video.truncated`` where the container lists many more.
        """
        self._require_listed(self.index.pictures, self.index.outside)
        return self.index.pictures

    @cached_property
    def index(self) -> seeking.Index:
        """Which packet is which frame, from one pass over the packets without decoding them."""
        return seeking.index(self.path)

    def frames(self) -> Iterator[np.ndarray]:
        """Every frame in the order of presentation; each array is valid until the next one is asked for.

        Packets that cannot be decoded are passed over as ffmpeg does; these, damaged frames and whatever else a
        person should know come into :attr:`warnings` at the end.
        """
        start = _Tally(self._left_out, self.info.codec in seeking.ONE_A_PACKET, self._cut)
        tally = replace(start)
        yield from self._decoded(tally, threads="AUTO" if tally.one_a_packet else "SLICE")
        if tally.silent:
            # behind an error among its last packets a threaded decoder keeps frames that PyAV cannot get at
            given, tally = tally.frames, start
            for frame in self._decoded(tally, threads="NONE"):
                if tally.frames > given:
                    yield frame
        self._cut = tally.cut
        self._passed_over = tally.outside + tally.silent
        self.warnings += tally.warnings()

    def frames_at(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The frames of these numbers (ascending), exactly those that :meth:`frames` gives with these numbers.

        A number at which nothing can be decoded undamaged is left out.  Behind a packet that :meth:`frames` has to
        pass over, the numbers here still count that packet.
        """
        for number, frame in seeking.pictures(self.path, self.index, numbers):
            yield number, self._luma(frame)

    def require_whole(self, decoded: int) -> None:
        """Judge the number of frames decoded against the container's.

        Raises ``video.empty`` for none and ``video.truncated`` where many are missing, or the file ends before
        the last of them; a small difference is a warning, and so is a duration that holds many more.
        """
        listed = self.info.frames
        self._require_listed(decoded, self._passed_over)
        if listed and decoded != listed:
            self.warnings.append(f"the container lists {listed} frames, {decoded} were decoded")
        lasting = round(self.info.seconds * self.info.rate)
        if not listed and decoded < WHOLE * lasting - 1:
            self.warnings.append(
                f"the container's {self.info.seconds:.1f} s hold about {lasting} frames, {decoded} were decoded"
            )

    def _require_listed(self, frames: int, passed_over: int) -> None:
        """What an edit list hides, or a decoder cannot show for want of a keyframe, is there: no copy brings more."""
        listed, there = self._promised, frames + passed_over + self._left_out
        if frames == 0:
            raise UserError("video.empty", f"{self.path} holds no picture that can be decoded")
        if there < WHOLE * listed or (self._cut and there < listed):
            raise UserError("video.truncated", f"{self.path} has {there} of the {listed} frames that its index lists")

    def _decoded(self, tally: _Tally, threads: str) -> Iterator[np.ndarray]:
        """Every frame, counted in ``tally``."""
        with opened(self.path) as container:
            stream = picture_stream(container, self.path)
            stream.thread_type = threads
            decode = self._decoder(stream)
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    return
                except av.error.FFmpegError as error:  # the file ends inside a packet
                    tally.cut, tally.stopped = True, str(error.strerror)
                    return
                tally.packets += packet.size > 0
                tally.outside += packet.is_discard
                tally.cut |= packet.is_corrupt  # the demuxer's word for a packet that the file does not hold whole
                try:
                    frames, complained = decode(packet)
                except av.error.FFmpegError:
                    if not tally.refused:
                        tally.refused_at = tally.frames, tally.packets
                    tally.refused += 1
                    continue
                for frame in frames:
                    if frame.is_corrupt or complained:
                        if not tally.damaged:
                            tally.damaged_at = tally.frames
                        tally.damaged += 1
                    if not tally.frames:
                        tally.turned = frame.rotation
                    tally.frames += 1
                    yield self._luma(frame)

    def _decoder(self, stream: Any) -> Callable[[Any], tuple[list[av.VideoFrame], bool]]:
        """What gives the frames of a stream's packet, and whether its decoder refuses them."""
        if self.info.codec not in _SILENT_ABOUT_DAMAGE:
            return lambda packet: (packet.decode(), False)
        stream.codec_context.options = {"err_detect": "explode"}
        return _Forgiving(self.path).decode

    def _luma(self, frame: av.VideoFrame) -> np.ndarray:
        if (frame.width, frame.height) != (self.info.width, self.info.height):
            raise UserError("video.corrupt", f"{self.path} changes its size to {frame.width}x{frame.height}")
        return luma.plane(frame)
