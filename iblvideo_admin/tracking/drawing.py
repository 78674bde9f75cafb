"""Points drawn on a frame: for a person who wants to see where the networks looked and what they found."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iblvideo_admin.tracking.pictures import Box


def colour(index: int, count: int) -> tuple[int, int, int]:
    """The colour of the index-th of ``count`` points: evenly round the colour circle."""
    red, green, blue = colorsys.hsv_to_rgb(index / max(count, 1), 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def labelled(
    grey: np.ndarray,
    points: Mapping[str, tuple[float, float, float]],
    *,
    boxes: Mapping[str, Box] | None = None,
    title: str = "",
    sure: float = 0.9,
) -> Image.Image:
    """A (height, width) uint8 frame with its points (x, y, likelihood), windows and a legend beneath.

    Points below ``sure`` are drawn as an empty ring.
    """
    height, width = grey.shape
    size = max(12, height // 45)
    font = ImageFont.load_default(size)
    per_row = max(1, width // (13 * size))
    rows = -(-len(points) // per_row) + bool(title)
    picture = Image.new("RGB", (width, height + round(rows * size * 1.5) + size // 2), (24, 24, 24))
    picture.paste(Image.fromarray(np.ascontiguousarray(grey)).convert("RGB"))
    draw = ImageDraw.Draw(picture)
    for box in (boxes or {}).values():
        draw.rectangle((box.x, box.y, box.x + box.width - 1, box.y + box.height - 1), outline=(150, 150, 150))
    radius = max(3, height // 170)
    for index, (name, (x, y, likelihood)) in enumerate(points.items()):
        ink = colour(index, len(points))
        column, row = index % per_row, index // per_row + bool(title)
        left, top = round((column + 0.3) * width / per_row), height + round((row + 0.3) * size * 1.5)
        where = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(where, fill=ink if likelihood >= sure else None, outline=ink, width=2)
        draw.ellipse((left - size * 0.9, top + size * 0.2, left - size * 0.2, top + size * 0.9), fill=ink)
        draw.text((left, top), f"{name} {likelihood:.2f}", fill=(235, 235, 235), font=font)
    if title:
        draw.text((size // 2, height + round(0.3 * size)), title, fill=(235, 235, 235), font=font)
    return picture


def sheet(pictures: Sequence[Image.Image], path: Path) -> Path:
    """Put pictures on one sheet, two in a row, at most 1280 px wide each row; written as PNG."""
    columns = min(2, len(pictures))
    width = 1280 // columns
    small = [p.resize((width, round(p.height * width / p.width))) for p in pictures]
    height = max(p.height for p in small)
    page = Image.new("RGB", (width * columns, height * -(-len(small) // columns)))
    for index, picture in enumerate(small):
        page.paste(picture, (width * (index % columns), height * (index // columns)))
    save(page, path)
    return path


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG by temporary name and rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        picture.save(temporary, format="PNG")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
