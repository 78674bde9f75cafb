"""A small disk of its own, which can be full or read-only for a while."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

_SIZE = 256 * 2**20
_REMOUNT_LIMIT_S = 1.0


def small_disks(*folders: Path) -> list[Disk]:
    """One for each folder; none where this user, or this container, cannot mount an image: that is said."""
    disks: list[Disk] = []
    try:
        for folder in folders:
            disks.append(Disk(folder, folder.with_name(f"{folder.name}.img")))  # noqa: PERF401  the first counts alone
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no disk is ever full or read-only here: {error}")
        for disk in disks:
            disk.unmount()
        return []
    return disks


class Disk:
    """A file with a file system in it, mounted at a folder."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir(exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-m", "0", "-F", image)
        _run("mount", "-o", "loop", image, folder)
        (folder / "lost+found").rmdir()

    def fill(self) -> None:
        """Take the last byte."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        try:
            size, step = 0, _SIZE
            while step >= 4096:
                try:
                    os.posix_fallocate(descriptor, size, step)
                    size += step
                except OSError:
                    step //= 2
        finally:
            os.close(descriptor)

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def freeze(self) -> bool:
        """Make it read-only; whether that came about: the kernel refuses while a file is open for writing."""
        until = time.monotonic() + _REMOUNT_LIMIT_S
        command = ["/usr/bin/env", "mount", "-o", "remount,ro", self.folder]
        while subprocess.run(command, check=False, capture_output=True).returncode:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def thaw(self) -> None:
        """Make it writable again."""
        _run("mount", "-o", "remount,rw", self.folder)

    def unmount(self) -> None:
        """Take it away, whoever still uses it."""
        _run("umount", "--lazy", self.folder)


def _run(*command: str | Path) -> None:
    subprocess.run(["/usr/bin/env", *command], check=True, capture_output=True)
