"""The lab of the chaos test: three cards, small disks, a clock that can be set, videos of which some are damaged."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from e2e.chaos.disk import small_disks
from e2e.chaos.processes import Living, end_all, living
from gpu.nvml_machines import library
from lab import STAND_INS, Lab, write_video

from iblvideo_admin.demo.session import frame_count, render_session, video_path
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

CARDS = ("GPU-c4a05000-0000-4000-8000-000000000000", "GPU-c4a05000-0000-4000-8000-000000000001",
         "GPU-c4a05000-0000-4000-8000-000000000002")  # fmt: skip
_FRAMES = (5, 11, 18)
_DEMO_S = 0.5
Pattern = tuple[int, Path]
"""Frames, and a video that has them."""
_DAMAGE: dict[str, Callable[[Path], Any]] = {
    "video.empty": lambda path: path.write_bytes(b""),
    "video.corrupt": lambda path: path.write_bytes(b"no video at all" * 100),
    "video.wrong_size": lambda path: write_video(path, 64, 48, 3),
    "video.missing": Path.unlink,
}


@dataclass(frozen=True)
class Wish:
    """A video, and what must become of it: so many rows, or this code.  ``old`` is a table that is to be replaced."""

    video: Video
    frames: int
    code: str = ""
    old: bytes | None = None


class Place:
    """The lab with ``count`` videos, made from a seed.  Call :meth:`close` whatever happens."""

    def __init__(
        self, lab: Lab, dice: random.Random, count: int, patterns: Mapping[str, list[Pattern]], *, cards: bool = True
    ) -> None:
        self.lab = lab
        self.state_dir = lab.folder / "state"
        self.journal = lab.folder / "journal"
        self.journal.mkdir()
        self.clock = lab.folder / "clock"
        self.set_clock(0.0)
        lab.environment |= {
            "LD_PRELOAD": str(_shared_clock(lab.folder)),
            "STAND_IN_CLOCK": str(self.clock),
            "STAND_IN_JOURNAL": str(self.journal),
            "IBLVIDEO_ADMIN_MIN_FREE_GB": "0.005",
            "IBLVIDEO_ADMIN_SCAN_EVERY_S": "3",
            "IBLVIDEO_ADMIN_STOP_GRACE_S": "2",
            "IBLVIDEO_ADMIN_START_HELD": "false",
        }
        if cards:
            self._three_cards()
        self.disks = {disk.folder.name.lower(): disk for disk in small_disks(lab.subjects, self.state_dir)}
        self._patterns = patterns
        self.wishes = self._sessions(dice, count)

    def _three_cards(self) -> None:
        text = "driver = 470.256.02\n" + "".join(
            f"\n[gpu]\nname = NVIDIA GeForce GTX 1080 Ti\nuuid = {uuid}\npci_bus = 00000000:0{number}:00.0\n"
            "pci_device = 0x1b0610de\ncapability = 6.1\nmemory = 11721506816 8388608\ncompute_mode = 0\n"
            for number, uuid in enumerate(CARDS, 1)
        )
        machine = self.lab.folder / "machine.txt"
        machine.write_text(text)
        self.lab.environment |= {
            "LD_LIBRARY_PATH": str(library(self.lab.folder, 470)),
            "NVML_MACHINE": str(machine),
            "IBLVIDEO_ADMIN_TOOLCHAIN": "dlc-tf1-cuda10.0",
            "IBLVIDEO_ADMIN_CUDA_ROOT": str(self.lab.folder / "cuda"),
            "STAND_IN_PACE_S": "0.03",
        }

    def _sessions(self, dice: random.Random, count: int) -> list[Wish]:
        """Videos of all cameras; one in eight is damaged, one in ten has a table that is to be replaced."""
        wishes = []
        codes = list(_DAMAGE)
        for number in range(count):
            wish = self._wish(dice, number)
            if number % 8 == 5:
                wish = replace(wish, frames=0, code=codes[number // 8 % len(codes)])
            elif number % 10 == 2:
                wish = replace(wish, old=f"an old table of {number}".encode())
                wish.video.alf.mkdir(exist_ok=True)
                wish.video.table.write_bytes(wish.old)
            wishes.append(wish)
        return wishes

    def _wish(self, dice: random.Random, number: int) -> Wish:
        """A sound video, in its place at one stroke: whoever scans never sees half of it."""
        cameras = sorted(self._patterns)
        session = self.lab.session(f"KS{number // 6:03}", "2026-01-15", f"{number % 6 // 3 + 1:03}")
        video = Video(session, CAMERAS[cameras[number % 3]])
        frames, pattern = dice.choice(self._patterns[video.camera.name])
        coming = video.path.with_suffix(".coming")
        shutil.copy(pattern, coming)
        coming.rename(video.path)
        return Wish(video, frames)

    def another_session(self, dice: random.Random) -> None:
        """Three more videos, which only a scan finds."""
        begin = len(self.wishes)
        self.wishes += [self._wish(dice, number) for number in range(begin, begin + 3)]

    def queue(self) -> float:
        """Enter every video, then damage some; gives the seconds that a command takes on this machine just now."""
        begun = time.monotonic()
        plain = [wish.video.path for wish in self.wishes if wish.old is None]
        replaced = [wish.video.path for wish in self.wishes if wish.old is not None]
        assert self.lab.json("queue", "add", *plain)["exit_code"] == 0
        if replaced:
            assert self.lab.json("queue", "add", "--overwrite", *replaced)["exit_code"] == 0
        took_s = (time.monotonic() - begun) / (1 + bool(replaced))
        for wish in self.wishes:
            if wish.code:
                _DAMAGE[wish.code](wish.video.path)
        return took_s

    def living(self) -> list[Living]:
        """The lab's processes."""
        return living(self.state_dir)

    def set_clock(self, ahead_s: float) -> None:
        """Move the wall clock of everything in the lab."""
        if not self.clock.exists():
            self.clock.write_bytes(struct.pack("d", 0.0))
        with open(self.clock, "r+b") as file:
            file.write(struct.pack("d", ahead_s))

    def rows(self, question: str, limit_s: float = 30) -> list[tuple[Any, ...]]:
        """An answer of the ledger, read beside the project's own code."""
        db = sqlite3.connect(self.state_dir / "ledger.sqlite", timeout=limit_s)
        try:
            return db.execute(question).fetchall()
        finally:
            db.close()

    def close(self) -> None:
        """End everything and take the disks away."""
        end_all(self.state_dir)
        for disk in self.disks.values():
            disk.unmount()


def plain_videos(folder: Path) -> dict[str, list[Pattern]]:
    """Short videos in which the stand-in's networks find everything."""
    patterns: dict[str, list[Pattern]] = {}
    for camera in CAMERAS.values():
        for frames in _FRAMES:
            path = folder / f"{camera.name}-{frames}.mp4"
            write_video(path, camera.width, camera.height, frames)
            patterns.setdefault(camera.name, []).append((frames, path))
    return patterns


def demo_videos(folder: Path) -> dict[str, list[Pattern]]:
    """Short videos in which the demo's networks find what they know."""
    session = folder / "pattern"
    render_session(session, list(CAMERAS), seconds=_DEMO_S)
    return {
        camera.name: [(frame_count(_DEMO_S, camera.rates[0]), video_path(session, camera.name))]
        for camera in CAMERAS.values()
    }


def _shared_clock(folder: Path) -> Path:
    target = folder / "clock.so"
    command = ["/usr/bin/env", "cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(target)]
    subprocess.run([*command, str(STAND_INS / "clock.c")], check=True)
    return target
