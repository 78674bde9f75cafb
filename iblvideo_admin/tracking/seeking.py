"""Single pictures of a video by number, exactly: number n is what a full decode yields as its n-th.

Timestamps alone cannot name a picture (rates vary, timestamps repeat or are missing), so one pass over the packets,
without decoding, says which packet is which picture.  Then only what a wanted picture may refer to is decoded, from
the keyframe before it.  Where the packets do not tell the order of presentation, pictures are decoded and counted
from the first on: slow, and rare (repeated timestamps together with B-frames, B-frames in AVI, VP8 ...).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from iblvideo_admin.tracking.container import opened, picture_stream

# Codecs of which each packet is one picture; of any other, pictures are counted from the first on.
ONE_A_PACKET = frozenset({"h264", "hevc", "ffv1", "mjpeg", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "png"})
_NO_TIME = -(2**62)
# How many keyframes to go back where one is none in the strict sense: a picture that is refreshed bit by bit is whole
# only some keyframes later.
_STEPS_BACK = 3
# Packets a keyframe from which threads shorten the wait; below, they cost more CPU time than they are worth.
_LONG_GROUP = 30


@dataclass(frozen=True)
class Index:
    """The packets of a video in the file's order, the decoder's.

    ``pictures`` is how many of them are shown: all but ``outside``, those that an edit list leaves out.
    ``times`` are the timestamps of all packets, (packets,) int64, in units of the stream.
    ``rank`` holds the packets' numbers in the order of presentation, (pictures,) int64; None where only decoding
    tells that order.  ``keys`` are the packets at which decoding may start (keyframes, and the first of all), with
    ``key_times`` (what to seek to) and ``key_places`` (bytes into the file); these three are (keys,) int64.
    """

    pictures: int
    outside: int
    times: np.ndarray
    rank: np.ndarray | None
    keys: np.ndarray
    key_times: np.ndarray
    key_places: np.ndarray

    def before(self, picture: int) -> int:
        """Which of ``keys`` to start from for a picture: the last that comes before it in both orders."""
        if self.rank is None:
            return 0
        packet = self.rank[picture]
        key = int(np.searchsorted(self.keys, packet, "right")) - 1
        while key > 0 and self.times[self.keys[key]] > self.times[packet]:
            key -= 1  # what is shown before its keyframe may need the group before (open GOP)
        return key


def index(path: Path) -> Index:
    """Read every packet, decode none.  A file that ends inside a packet is indexed up to there."""
    times, key_packets, key_times, key_places = array("q"), array("q"), array("q"), array("q")
    hidden: list[int] = []
    with opened(path) as container:
        stream = picture_stream(container, path)
        context = stream.codec_context
        codec, reorders = context.name, context.has_b_frames
        with suppress(av.error.FFmpegError):
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.is_discard:
                    hidden.append(len(times))
                if packet.is_keyframe or not times:
                    place, time = _identity(packet)
                    key_packets.append(len(times))
                    key_times.append(time)
                    key_places.append(place)
                times.append(_NO_TIME if packet.pts is None else packet.pts)
    shown = np.ones(len(times), bool)
    shown[hidden] = False
    pts = np.frombuffer(times, np.int64) if times else np.empty(0, np.int64)
    if not reorders and not (np.diff(pts) < 0).any():
        pts = np.arange(len(pts))  # the packets are in the order of presentation, whatever their timestamps
    # pictures before the first keyframe may refer to what is not there: the decoder decides which it shows
    certain = codec in ONE_A_PACKET and not (pts == _NO_TIME).any() and not (pts < pts[:1]).any()
    return Index(
        int(shown.sum()),
        len(hidden),
        pts,
        _order(pts, np.flatnonzero(shown), reorders=reorders) if certain else None,
        np.array(key_packets, np.int64),
        np.array(key_times, np.int64),
        np.array(key_places, np.int64),
    )


def _order(times: np.ndarray, shown: np.ndarray, *, reorders: bool) -> np.ndarray | None:
    """The shown packets in the order of presentation, or None where timestamps may not be the decoder's order."""
    of = times[shown]
    order = np.argsort(of)
    if (np.diff(of[order]) == 0).any():
        return None
    if reorders and (np.diff(of) > 0).all():
        return None  # B-frames are announced but never stamped: as some programs copy streams
    return shown[order]


def pictures(path: Path, of: Index, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    """The pictures of these numbers (ascending).  One that cannot be decoded, or only with damage, is left out."""
    there = [number for number in numbers if 0 <= number < of.pictures]
    with opened(path) as container:
        source = _Source(path, container, of)
        for key, group in groupby(there, of.before):
            missing = list(group)
            for start in (key, max(key - _STEPS_BACK, 0)):
                for number, frame in source.pictures(start, missing, clean=0 < start == key):
                    missing = [other for other in missing if other > number]
                    yield number, frame
                if not missing:
                    break


class _Source:
    """An open video of which single pictures are decoded."""

    def __init__(self, path: Path, container: Any, of: Index) -> None:
        self._path, self._container, self._index = path, container, of
        self._stream = picture_stream(container, path)
        long = of.rank is None or len(of.times) >= _LONG_GROUP * len(of.keys)
        self._stream.thread_type = "AUTO" if long and self._stream.codec_context.name in ONE_A_PACKET else "NONE"
        self._context = self._stream.codec_context
        starts = zip(of.key_places.tolist(), of.key_times.tolist(), strict=True)
        self._known = dict(zip(starts, of.keys.tolist(), strict=True))

    def pictures(self, key: int, numbers: Sequence[int], *, clean: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        """Those of the pictures that decoding from a key gives undamaged.

        None of them where ``clean`` and the key is not itself the first picture that comes out: it then is no
        keyframe in the strict sense.
        """
        found = self._counted(numbers) if self._index.rank is None else self._looked_up(key, numbers, clean=clean)
        return ((number, frame) for number, frame in found if not frame.is_corrupt)

    def _looked_up(self, key: int, numbers: Sequence[int], *, clean: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        """By the packets' numbers: only what the wanted pictures may refer to is decoded."""
        assert self._index.rank is not None
        wanted = {int(self._index.rank[number]): number for number in numbers}
        first, last = int(self._index.keys[key]), max(wanted)
        for packet_number, packet in chain(self._packets(key, last), ((last, None),)):
            self._context.skip_frame = "DEFAULT" if packet_number in wanted else "NONREF"
            if packet is not None:
                packet.pts = packet_number  # the decoder hands it on to the picture
            for frame in self._decoded(packet):
                if clean and frame.pts != first:
                    return
                clean = False
                if frame.pts in wanted:
                    yield wanted[frame.pts], frame

    def _counted(self, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """By counting from the first picture on."""
        number, wanted, last = 0, set(numbers), numbers[-1]
        self._context.skip_frame = "DEFAULT"
        for packet in chain((packet for _, packet in self._packets(0)), (None,)):
            for frame in self._decoded(packet):
                if number in wanted:
                    yield number, frame
                number += 1
            if number > last:
                return

    def _decoded(self, packet: Any) -> list[av.VideoFrame]:
        """What the decoder gives for a packet, or still holds (None); nothing for a packet that it refuses."""
        try:
            frames: list[av.VideoFrame] = self._context.decode(packet)
        except av.error.FFmpegError:
            return []
        return frames

    def _packets(self, key: int, last: int | None = None) -> Iterator[tuple[int, Any]]:
        """The packets from a key to ``last``, each with its number, wherever the container's own seeking lands."""
        first = int(self._index.keys[key])
        wanted = slice(first, None if last is None else last + 1)
        with suppress(av.error.FFmpegError):
            number, packets = self._landed(key, first)
            if number < 0:
                with opened(self._path) as again:
                    self._context.flush_buffers()
                    yield from _numbered(again.demux(picture_stream(again, self._path)), 0, wanted)
            else:
                yield from _numbered(packets, number, wanted)

    def _landed(self, key: int, first: int) -> tuple[int, Iterator[Any]]:
        """Seek to a key: the number of the packet on which that lands (-1: unknown, or too late) and the packets."""
        time = int(self._index.key_times[key])
        if first == 0 or time == _NO_TIME:
            return -1, iter(())
        self._container.seek(time, stream=self._stream, backward=True)
        packets = (packet for packet in self._container.demux(self._stream) if packet.size)
        packet = next(packets, None)
        number = -1 if packet is None else self._known.get(_identity(packet), -1)
        return (number if number <= first else -1), chain((packet,), packets)


def _numbered(packets: Iterator[Any], number: int, wanted: slice) -> Iterator[tuple[int, Any]]:
    """The packets of these numbers, counted from ``number``; those before are passed over undecoded."""
    sized = (packet for packet in packets if packet.size)
    start, stop = wanted.start - number, None if wanted.stop is None else wanted.stop - number
    yield from enumerate(islice(sized, start, stop), wanted.start)


def _identity(packet: Any) -> tuple[int, int]:
    """What tells a packet from all others: its place in the file, and what to seek to for it."""
    time = packet.pts if packet.dts is None else packet.dts
    return (-1 if packet.pos is None else packet.pos), (_NO_TIME if time is None else time)
