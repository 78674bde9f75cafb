"""The reference's video files: what ``ffmpeg`` is asked to write before any network runs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

EYE = "colorlevels=rimax=0.25:gimax=0.25:bimax=0.25"


def ffmpeg(source: Path, filters: str, target: Path, options: Sequence[str] = ()) -> Path:
    """Read, filter, encode with x264 (crf 23 and preset medium unless the options say otherwise)."""
    words = ["ffmpeg", "-nostats", "-y", "-loglevel", "error", "-i", str(source), "-vf", filters, *options, str(target)]
    subprocess.run(words, check=True)
    return target


def transformed(source: Path, folder: Path) -> Path:
    """The right camera's video made to look like the left's: two passes, each a whole video."""
    flipped = ffmpeg(source, "hflip", folder / "flipped.mp4")
    return ffmpeg(flipped, "scale=1280:1024", folder / "transformed.mp4")


def cropped(source: Path, network: str, window: Sequence[float], folder: Path) -> Path:
    """A network's window (width, height, x, y) as a video; ffmpeg rounds x and y down to even numbers."""
    words = ["-c:v", "libx264", "-crf", "11", "-c:a", "copy"]
    made = ffmpeg(source, "crop=" + ":".join(f"{value:g}" for value in window), folder / f"{network}.mp4", words)
    return ffmpeg(made, EYE, folder / "eye_adjusted.mp4") if network == "eye" else made


def shrunk(source: Path, folder: Path) -> Path:
    """The whole frame as the paws' network sees it."""
    return ffmpeg(source, "scale=128:102", folder / "paws.mp4", ["-c:v", "libx264", "-crf", "23", "-c:a", "copy"])
