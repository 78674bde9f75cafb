"""A picture as an encoder takes it (yuv420p, limited range), and small drawn things that are put onto it.

Everything that is drawn with care (shapes, text) is drawn once, by Pillow, four times too large and scaled down; on
each frame it is only blended in, by numpy: a frame with forty marks costs a fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
DARK: Colour = (16, 17, 20)
LIGHT: Colour = (232, 232, 232)
_FINER = 4
_LUMA = np.array([0.299, 0.587, 0.114])
_RGB_TO_YUV = np.stack([219 * _LUMA, 224 / 1.772 * (np.eye(3)[2] - _LUMA), 224 / 1.402 * (np.eye(3)[0] - _LUMA)]) / 255
_ZERO = np.array([16.0, 128.0, 128.0])


@cache
def yuv(colour: Colour) -> tuple[int, int, int]:
    """Of an RGB colour, by BT.601 in limited range, as players take it for videos of this kind."""
    luma, blue, red = _RGB_TO_YUV @ np.array(colour) + _ZERO
    return round(luma), round(blue), round(red)


class Canvas:
    """Planes of one picture of even size: :attr:`luma` (height, width), :attr:`chroma` (2, height / 2, width / 2)."""

    def __init__(self, width: int, height: int, colour: Colour = DARK) -> None:
        self.width, self.height = width, height
        size = width * height
        flat = np.empty(size * 3 // 2, np.uint8)
        self.planes = flat.reshape(height * 3 // 2, width)
        self.luma = flat[:size].reshape(height, width)
        self.chroma = flat[size:].reshape(2, height // 2, width // 2)
        self.rectangle(0, 0, width, height, colour)

    def rectangle(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """Fill whole pixels; the colour's own planes are half as fine."""
        luma, *chroma = yuv(colour)
        self.luma[y : y + height, x : x + width] = luma
        for plane, value in zip(self.chroma, chroma, strict=True):
            plane[y // 2 : (y + height + 1) // 2, x // 2 : (x + width + 1) // 2] = value

    def frame(self, x: int, y: int, width: int, height: int, luma: int) -> None:
        """The outline of a rectangle, one pixel wide and grey, as far as it lies in the picture."""
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, self.width), min(y + height, self.height)
        if left >= right or top >= bottom:
            return
        for row in (y, y + height - 1):
            if 0 <= row < self.height:
                self.luma[row, left:right] = luma
        for column in (x, x + width - 1):
            if 0 <= column < self.width:
                self.luma[top:bottom, column] = luma

    def blend(self, sprite: Sprite, x: int, y: int, limit: tuple[int, int, int, int]) -> None:
        """Put a sprite's middle at (x, y), cut at ``limit`` (left, top, right, bottom; even numbers)."""
        left, top = x - sprite.middle, y - sprite.middle
        part = sprite.parts[top & 1][left & 1]
        left, top = left & ~1, top & ~1
        height, width = part.cover.shape
        x0, y0 = max(left, limit[0]), max(top, limit[1])
        x1, y1 = min(left + width, limit[2]), min(top + height, limit[3])
        if x0 >= x1 or y0 >= y1:
            return
        inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        there = self.luma[y0:y1, x0:x1]
        there[...] = (there * part.cover[inside] + part.luma[inside]) >> 8
        coarse = np.s_[(y0 - top) // 2 : (y1 - top) // 2, (x0 - left) // 2 : (x1 - left) // 2]
        there = self.chroma[:, y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        there[...] = (there * part.coarse_cover[coarse] + part.chroma[:, coarse[0], coarse[1]]) >> 8


@dataclass(frozen=True)
class _Part:
    """A sprite for one parity of its place; values are multiplied by how much they cover (of 256)."""

    cover: np.ndarray
    luma: np.ndarray
    coarse_cover: np.ndarray
    chroma: np.ndarray


class Sprite:
    """A small drawing with soft edges, (side, side, 4) uint8 RGBA, ready for each of the four parities of its place."""

    def __init__(self, rgba: np.ndarray) -> None:
        side = len(rgba)
        self.middle = side // 2
        self.parts = [[_part(_shifted(rgba, down, right)) for right in (0, 1)] for down in (0, 1)]


def _shifted(rgba: np.ndarray, down: int, right: int) -> np.ndarray:
    """In the middle of nothing, of even size."""
    side = (len(rgba) + 2) // 2 * 2
    wide = np.zeros((side, side, 4), np.uint8)
    wide[down : down + len(rgba), right : right + len(rgba)] = rgba
    return wide


def _part(rgba: np.ndarray) -> _Part:
    alpha = rgba[..., 3].astype(np.float64) / 255
    planes = _RGB_TO_YUV @ rgba[..., :3, np.newaxis].astype(np.float64)  # (side, side, 3, 1)
    planes = np.moveaxis(planes[..., 0], 2, 0) + _ZERO[:, np.newaxis, np.newaxis]
    coarse = alpha.reshape(len(alpha) // 2, 2, -1, 2).mean(axis=(1, 3))
    tinted = (planes[1:] * alpha).reshape(2, len(alpha) // 2, 2, -1, 2).mean(axis=(2, 4))
    return _Part(
        np.round((1 - alpha) * 256).astype(np.uint16),
        np.round(planes[0] * alpha * 256).astype(np.uint16),
        np.round((1 - coarse) * 256).astype(np.uint16),
        np.round(tinted * 256).astype(np.uint16),
    )


def mark(shape: str, colour: Colour, radius: int, *, hollow: bool = False, opacity: float = 1.0) -> Sprite:
    """A point's mark with a dark edge; a hollow one is its outline only."""
    side = 2 * radius + 5
    middle, reach = side * _FINER / 2, radius * _FINER
    drawn = Image.new("RGBA", (side * _FINER, side * _FINER), (*colour, 0))
    draw = ImageDraw.Draw(drawn)
    edge = (*DARK, 255)
    if hollow:
        _shape(draw, shape, middle, reach, None, edge, 3 * _FINER)
        _shape(draw, shape, middle, reach - 0.6 * _FINER, None, (*colour, 255), round(1.6 * _FINER))
    else:
        _shape(draw, shape, middle, reach + 1.2 * _FINER, edge, None, 0)
        _shape(draw, shape, middle, reach, (*colour, 255), None, 0)
    small = np.array(drawn.resize((side, side), Image.Resampling.BOX))
    small[..., 3] = np.round(small[..., 3] * opacity)
    return Sprite(small)


def _shape(
    draw: ImageDraw.ImageDraw, shape: str, middle: float, reach: float, fill: object, line: object, width: int
) -> None:
    """One of :data:`palette.SHAPES`, all of about the same area."""
    m, r = middle, reach
    corners = {
        "square": [(m - 0.88 * r, m - 0.88 * r), (m + 0.88 * r, m - 0.88 * r), (m + 0.88 * r, m + 0.88 * r),
                   (m - 0.88 * r, m + 0.88 * r)],
        "diamond": [(m, m - 1.2 * r), (m + 1.2 * r, m), (m, m + 1.2 * r), (m - 1.2 * r, m)],
        "triangle": [(m, m - 1.2 * r), (m + 1.15 * r, m + 0.85 * r), (m - 1.15 * r, m + 0.85 * r)],
    }  # fmt: skip
    if shape in corners:
        draw.polygon(corners[shape], fill=fill, outline=line, width=width)  # type: ignore[arg-type]
    else:
        draw.ellipse((m - r, m - r, m + r, m + r), fill=fill, outline=line, width=width)  # type: ignore[arg-type]


class Letters:
    """Text of a few characters that changes with every frame, light on dark, in cells of one width."""

    def __init__(self, size: int, characters: str = "0123456789:./ framesofduet,?") -> None:
        font = ImageFont.load_default(size)
        width = max(round(font.getlength(c) + 0.49) for c in characters if c.isdigit())
        self.height = round(size * 1.3)
        self._cells: dict[str, np.ndarray] = {}
        for character in characters:
            own = width if character.isdigit() else max(round(font.getlength(character) + 0.49), 1)
            self._cells[character] = text_luma(character, size, own, self.height)

    def __call__(self, canvas: Canvas, text: str, x: int, y: int) -> None:
        """Write into the luma, over a ground that is dark already."""
        for character in text:
            cell = self._cells.get(character, self._cells["?"])
            canvas.luma[y : y + cell.shape[0], x : x + cell.shape[1]] = cell[:, : max(canvas.width - x, 0)]
            x += cell.shape[1]


def text_luma(text: str, size: int, width: int, height: int) -> np.ndarray:
    """Text as luma in limited range, light on dark, (height, width) uint8; what is too long ends with dots."""
    font = ImageFont.load_default(size)
    while len(text) > 1 and font.getlength(text) > width + 1:
        text = text[:-2] + "…"
    drawn = Image.new("L", (width, height), yuv(DARK)[0])
    ImageDraw.Draw(drawn).text((0, height // 2), text, fill=yuv(LIGHT)[0], font=font, anchor="lm")
    return np.array(drawn)


def to_limited(levels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What makes limited-range luma of a reader's, given its table of grey levels: mostly it is that already."""
    if (levels == np.arange(256)).all():
        table = np.round(16 + np.arange(256) * (219 / 255)).astype(np.uint8)
        return lambda luma: table[luma]
    return lambda luma: luma
