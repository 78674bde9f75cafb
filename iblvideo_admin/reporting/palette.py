"""Fixed colours and shapes of points: the colour says which part of the mouse, the shape which of its points.

The colours are those of Okabe and Ito, made for every kind of colour vision; the two that are too dark on a grey
picture are lighter here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

Colour = tuple[int, int, int]
SHAPES = ("disc", "square", "diamond", "triangle")
YELLOW, SKY, ORANGE, PINK, GREEN, RED, BLUE = (
    (240, 228, 66), (86, 180, 233), (230, 159, 0), (226, 140, 190), (20, 190, 140), (235, 105, 20), (90, 140, 255),
)  # fmt: skip
_COLOURS = (YELLOW, SKY, ORANGE, PINK, GREEN, RED, BLUE)
_KNOWN: dict[str, tuple[Colour, str]] = {
    "nose_tip": (YELLOW, "disc"),
    "pupil_top_r": (SKY, "disc"),
    "pupil_right_r": (SKY, "square"),
    "pupil_bottom_r": (SKY, "diamond"),
    "pupil_left_r": (SKY, "triangle"),
    "paw_l": (ORANGE, "disc"),
    "paw_r": (PINK, "square"),
    "tube_top": (GREEN, "disc"),
    "tube_bottom": (GREEN, "square"),
    "tongue_end_l": (RED, "disc"),
    "tongue_end_r": (RED, "square"),
    "tail_start": (BLUE, "disc"),
}


def look(points: Sequence[str]) -> dict[str, tuple[Colour, str]]:
    """Each point's colour and shape; names that the rigs do not know get those that are left, in their order."""
    known = {point: _KNOWN[point] for point in points if point in _KNOWN}
    every = [(colour, shape) for shape in SHAPES for colour in _COLOURS]
    free = cycle([one for one in every if one not in known.values()] or every)
    return {point: known.get(point) or next(free) for point in points}
