"""A decoded frame's luma plane as 8-bit values, and the table that makes grey levels of them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange

# Formats whose first plane is 8-bit luma: taken as it lies in the decoder's memory.
_SAMPLINGS = ("420", "422", "444", "440", "411", "410")
_AS_IT_IS = {"gray", "nv12", "nv16", "nv21", "nv24", *(f"yuv{j}{of}p" for j in ("", "j") for of in _SAMPLINGS)}
# Planar formats of more bits: the same sampling in 8 bits, so that nothing but the depth changes.
_DEEPER = re.compile(r"(?:(?P<grey>gray)|(?P<planar>yuv(?:420|422|440|444)p))(?:9|10|12|14|16)(?:le|be)")


@cache
def eight_bit(pixel_format: str) -> str:
    """The format into which swscale converts a picture before its first plane is taken.

    ====================================  ==================================================================
    8-bit luma first                      itself: nothing is converted
    planar YUV of 9 to 16 bits            the same in 8 bits, as ``ffmpeg -pix_fmt yuv420p`` (its ordered dither)
    grey of 9 to 16 bits                  ``gray``
    RGB, palettes and all others          ``gray``, full range
    ====================================  ==================================================================
    """
    if pixel_format in _AS_IT_IS:
        return pixel_format
    deeper = _DEEPER.fullmatch(pixel_format)
    if deeper and deeper["planar"]:
        return deeper["planar"]
    return "gray"


def plane(frame: av.VideoFrame) -> np.ndarray:
    """The luma of a frame, (height, width) uint8; a view of the decoder's memory unless the format is converted."""
    name = frame.format.name
    wanted = eight_bit(name)
    if name != wanted:
        frame = frame.reformat(format=wanted)
    first = frame.planes[0]
    lines: np.ndarray = np.frombuffer(memoryview(first), np.uint8).reshape(-1, first.line_size)
    return lines[: frame.height, : frame.width]


def levels(context: Any) -> np.ndarray:
    """The table, (256,) uint8, from :func:`plane`'s values to full-range grey, for a decoder's context."""
    pixel_format = context.pix_fmt or ""
    full = context.color_range == ColorRange.JPEG or pixel_format.startswith("yuvj")
    if full or eight_bit(pixel_format) == "gray":
        return np.arange(256, dtype=np.uint8)
    return limited_to_full()


def limited_to_full() -> np.ndarray:
    """The table, (256,) uint8, from limited-range luma to full-range grey as swscale converts it to RGB.

    A ramp is sent through swscale itself: a rounded formula is off by one for half of the levels.
    """
    ramp = av.VideoFrame(256, 2, "yuv420p")
    for part, values in zip(ramp.planes, (np.arange(256), np.full(128, 128), np.full(128, 128)), strict=True):
        lines = np.zeros((part.height, part.line_size), np.uint8)
        lines[:, : len(values)] = values
        part.update(lines.tobytes())
    return ramp.to_ndarray(format="rgb24")[0, :, 1].copy()
