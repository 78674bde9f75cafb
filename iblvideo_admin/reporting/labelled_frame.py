"""One labelled frame: the picture with its points, and beside it the eye and the tongue enlarged, and who is who.

::

    +--------------------------+---------+
    |                          | frame   |
    |  the video's picture     | eye     |
    |  windows, trails, marks  | tongue  |
    |                          | legend  |
    +--------------------------+---------+
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from iblvideo_admin.reporting.canvas import DARK, Canvas, Colour, Letters, Sprite, mark, text_luma, to_limited, yuv
from iblvideo_admin.reporting.palette import look
from iblvideo_admin.reporting.traces import Traces, raw_box
from iblvideo_admin.rigs import NETWORKS, Camera
from iblvideo_admin.tracking.pictures import Box
from iblvideo_admin.tracking.video import VideoInfo

ENLARGED = ("eye", "tongue")
_PANEL, _MARGIN, _LINE, _TEXT = 176, 6, 14, 11  # px at the size of a small camera; a large one's panel is twice that
_INSET = 160
_WINDOW_LUMA = 150
_EMPTY, _FAINT = (58, 60, 66), (128, 128, 128)
_TRAIL_S, _LONGEST_TRAIL = 0.4, 60
_BETWEEN = (0.0, 1 / 3, 2 / 3)  # a trail's dots from one frame's place to the next one's

_FAR = 1e6  # px: what is farther away is not seen anyway


@dataclass(frozen=True)
class _Inset:
    """A part of the picture, ``box`` in raw pixels, shown ``zoom`` times as large at (x, y) of the canvas."""

    box: Box
    zoom: float
    x: int
    y: int
    width: int
    height: int
    scaler: Resizer


class Resizer:
    """(height, width) uint8 to one other size, by swscale."""

    def __init__(self, width: int, height: int, interpolation: Interpolation) -> None:
        self._width, self._height, self._interpolation = width, height, interpolation
        self._swscale = VideoReformatter()

    def __call__(self, luma: np.ndarray) -> np.ndarray:
        """One picture, scaled; a view of memory that nobody else has."""
        frame = av.VideoFrame.from_numpy_buffer(luma, format="gray")  # whose rows may lie apart
        scaled = self._swscale.reformat(
            frame, width=self._width, height=self._height, interpolation=self._interpolation, threads=1
        )
        plane = scaled.planes[0]
        lines: np.ndarray = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return lines[: self._height, : self._width]


class Labeller:
    """Draws frames of one video with their points.

    ``threshold`` is the likelihood below which points are faint; the picture is drawn ``smaller`` times smaller, what
    is enlarged is not.
    """

    def __init__(
        self, info: VideoInfo, levels: np.ndarray, traces: Traces, camera: Camera | None, threshold: float,
        *, smaller: int = 1, panel: bool = True,
    ) -> None:  # fmt: skip
        self._info, self._traces, self._threshold, self._smaller = info, traces, threshold, smaller
        self._limited = to_limited(levels)
        self._width, self._height = max(info.width // smaller, 1), max(info.height // smaller, 1)
        self._shrink = None if smaller == 1 else Resizer(self._width, self._height, Interpolation.AREA)
        self._k = min(max(round(self._height / 512), 1), 3)
        self._panel_x = (self._width + 1) // 2 * 2
        self._insets = tuple(self._arranged(camera)) if panel else ()
        self._legend_y = self._top + sum(inset.height + _MARGIN * self._k for inset in self._insets)
        needed = self._legend_y + len(traces.points) * _LINE * self._k if panel else 0
        self._canvas = Canvas(
            self._panel_x + (_PANEL * self._k if panel else 0), (max(self._height, needed) + 1) // 2 * 2
        )
        self._looks = look(traces.points)
        self._marks = self._sprites((3 if self._k == 1 else 5) + (not panel))
        self._large = self._sprites(4 * self._k)
        self._letters = Letters(_TEXT * self._k)
        self._sure = traces.sure(threshold)
        # the middle of a pixel is the middle of the smaller one that it falls into
        self._shown = np.clip((traces.xy + 0.5) / smaller - 0.5, -_FAR, _FAR)
        self._trail = min(round((info.rate or 30) * _TRAIL_S), _LONGEST_TRAIL)
        self._bars: dict[int, tuple[int, Colour]] = {}
        self._steps: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._whole = (0, 0, self._panel_x, (self._height + 1) // 2 * 2)
        self._has_panel = panel
        if panel:
            self._draw_legend()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is drawn."""
        return self._canvas.width, self._canvas.height

    def __call__(self, number: int, luma: np.ndarray) -> np.ndarray:
        """Frame ``number`` with its points, (height * 3 / 2, width) uint8 yuv420p, valid until the next call."""
        canvas, n = self._canvas, self._smaller
        picture = self._limited(luma)
        canvas.luma[: self._height, : self._width] = picture if self._shrink is None else self._shrink(picture)
        canvas.chroma[:, : self._whole[3] // 2, : self._panel_x // 2] = 128
        for box in self._traces.windows.values():
            left, top = box.x // n, box.y // n
            canvas.frame(left, top, min(box.width // n, self._width - left), box.height // n, _WINDOW_LUMA)
        if self._has_panel:
            for inset in self._insets:
                self._enlarge(inset, picture)
        if number < self._traces.frames:
            self._draw_trails(number)
            self._draw_marks(number)
        if self._has_panel:
            self._draw_numbers(number)
        return canvas.planes

    # ------------------------------------------------------------------------------------------- what stands still

    @cached_property
    def _top(self) -> int:
        return (_MARGIN + _LINE + 2) * self._k

    def _arranged(self, camera: Camera | None) -> list[_Inset]:
        """The eye and the tongue, one below the other, as large as whole numbers of pixels allow."""
        insets, y = [], self._top
        for name in ENLARGED if camera else ():
            assert camera is not None
            box = self._traces.windows.get(name) or self._guessed(name, camera)
            if name not in camera.networks or box is None:
                continue
            box = Box(
                min(max(box.x, 0), max(self._info.width - box.width, 0)),
                min(max(box.y, 0), max(self._info.height - box.height, 0)),
                min(box.width, self._info.width), min(box.height, self._info.height),
            )  # fmt: skip
            zoom = _INSET * self._k / max(box.width, box.height, 1)
            width, height = (round(side * zoom) // 2 * 2 for side in (box.width, box.height))
            x = self._panel_x + (_PANEL * self._k - width) // 4 * 2
            insets.append(_Inset(box, zoom, x, y, width, height, Resizer(width, height, Interpolation.BICUBIC)))
            y += height + _MARGIN * self._k
        return insets

    def _guessed(self, name: str, camera: Camera) -> Box | None:
        """Where the network will have looked, by its anchors, for tables that do not say."""
        window = NETWORKS[name].window
        assert window is not None
        columns = [self._traces.points.index(point) for point in window.anchors if point in self._traces.points]
        sure = self._traces.sure(0.9)[:, columns]
        if not sure.any():
            return None
        x, y = np.median(self._traces.xy[:, columns][sure], axis=0)
        if camera.mirrored:
            x = camera.width - x
        left, top = round(x * camera.upscaled) + window.dx, round(y * camera.upscaled) + window.dy
        return raw_box(Box(left, top, window.width, window.height), camera)

    def _sprites(self, radius: int) -> dict[str, tuple[Sprite, Sprite]]:
        """Of each point: how it looks when it is sure, and when not."""
        return {
            point: (mark(shape, colour, radius), mark(shape, colour, radius, hollow=True, opacity=0.55))
            for point, (colour, shape) in self._looks.items()
        }

    def _draw_legend(self) -> None:
        k, x = self._k, self._panel_x + _MARGIN * self._k
        limit = (self._panel_x, 0, self._canvas.width, self._canvas.height)
        for row, point in enumerate(self._traces.points):
            y = self._legend_y + row * _LINE * k
            self._canvas.blend(mark(self._looks[point][1], self._looks[point][0], 4 * k), x + 4 * k, y + 7 * k, limit)
            name = text_luma(point, _TEXT * k, 94 * k, _LINE * k)
            self._canvas.luma[y : y + _LINE * k, x + 13 * k : x + 107 * k] = name

    # ------------------------------------------------------------------------------------------- what moves

    def _enlarge(self, inset: _Inset, picture: np.ndarray) -> None:
        box, x, y = inset.box, inset.x, inset.y
        large = inset.scaler(picture[box.y : box.y + box.height, box.x : box.x + box.width])
        self._canvas.luma[y : y + inset.height, x : x + inset.width] = large
        self._canvas.chroma[:, y // 2 : (y + inset.height) // 2, x // 2 : (x + inset.width) // 2] = 128

    def _draw_marks(self, number: int) -> None:
        places, sure = self._traces.xy[number], self._sure[number]
        for column, point in enumerate(self._traces.points):
            x, y = places[column]
            if not (np.isfinite(x) and np.isfinite(y)):
                continue
            look = 0 if sure[column] else 1
            left, top = (round(value) for value in self._shown[number, column].tolist())
            self._canvas.blend(self._marks[point][look], left, top, self._whole)
            for inset in self._insets:
                box = inset.box
                if box.x - 1 <= x <= box.x + box.width and box.y - 1 <= y <= box.y + box.height:
                    # the middle of a pixel is the middle of its enlarged square
                    at = (
                        round(inset.x + (x - box.x + 0.5) * inset.zoom),
                        round(inset.y + (y - box.y + 0.5) * inset.zoom),
                    )
                    limit = (inset.x, inset.y, inset.x + inset.width, inset.y + inset.height)
                    self._canvas.blend(self._large[point][look], *at, limit)

    def _draw_trails(self, number: int) -> None:
        """Where sure points were in the last moments: dots in their colours, all of them at once."""
        steps = range(max(number - self._trail, 0) + 1, number + 1)
        for gone in [step for step in self._steps if step not in steps]:
            del self._steps[gone]
        dots = [self._steps.get(step) or self._steps.setdefault(step, self._step(step)) for step in steps]
        if not dots:
            return
        age = np.linspace(0.1, 0.75, len(dots)).repeat([len(columns) for _, columns in dots])
        x, y = np.concatenate([places for places, _ in dots]).T
        inks = self._inks[np.concatenate([columns for _, columns in dots])].T
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            self._tint(self._canvas.luma, y + down, x + right, age, inks[0])
        for plane, ink in zip(self._canvas.chroma, inks[1:], strict=True):
            self._tint(plane, y // 2, x // 2, age, ink)

    @staticmethod
    def _tint(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray, age: np.ndarray, ink: np.ndarray) -> None:
        old = plane[rows, columns]
        plane[rows, columns] = (old + age * (ink - old)).astype(np.uint8)

    def _step(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The dots between two frames: places (dots, 2) int64 in the picture, and which point's each is (dots,)."""
        columns = np.flatnonzero(self._sure[number - 1] & self._sure[number])
        before, after = self._shown[number - 1, columns], self._shown[number, columns]
        dots = np.round(np.concatenate([before + part * (after - before) for part in _BETWEEN])).astype(np.int64)
        inside = ((dots >= 0) & (dots < (self._width - 1, self._height - 1))).all(axis=1)
        return dots[inside], np.tile(columns, len(_BETWEEN))[inside]

    @cached_property
    def _inks(self) -> np.ndarray:
        """(points, 3) float64: each point's colour as the planes hold it."""
        return np.array([yuv(colour) for colour, _ in self._looks.values()], np.float64).reshape(-1, 3)

    def _draw_numbers(self, number: int) -> None:
        """Frame, time, and how sure each point is."""
        canvas, k, x = self._canvas, self._k, self._panel_x + _MARGIN * self._k
        canvas.rectangle(self._panel_x, _MARGIN * k, canvas.width - self._panel_x, self._letters.height, DARK)
        self._letters(canvas, caption(number, self._info.rate), x, _MARGIN * k)
        known = number < self._traces.frames
        for row, (colour, _) in enumerate(self._looks.values()):
            y, left, room = self._legend_y + row * _LINE * k + 5 * k, x + 110 * k, 50 * k
            likelihood = self._traces.likelihood[number, row] if known else np.nan
            full = 0 if np.isnan(likelihood) else round(room * min(max(likelihood, 0.0), 1.0))
            ink = colour if likelihood >= self._threshold else _FAINT
            if self._bars.get(row) == (full, ink):  # as it is in most frames
                continue
            self._bars[row] = full, ink
            canvas.rectangle(left, y, room, 5 * k, _EMPTY)
            canvas.rectangle(left, y, full // 2 * 2, 5 * k, ink)


def caption(number: int, rate: float) -> str:
    """A frame's number and its time in the video (hours:minutes:seconds), where the rate is known."""
    if not rate:
        return f"frame {number}"
    seconds = number / rate
    whole = int(seconds)
    return f"frame {number}   {whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{int(seconds % 1 * 1000):03d}"


def as_rgb(planes: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 of what a :class:`Labeller` gives."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")
    frame.color_range = ColorRange.MPEG
    rgb: np.ndarray = frame.to_ndarray(format="rgb24")
    return rgb
