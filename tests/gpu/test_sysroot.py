"""What lies below another root, and files that are none."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from iblvideo_admin.gpu import kernel
from iblvideo_admin.gpu.sysroot import CannotLookError, Sysroot


def test_this_very_host() -> None:
    """/proc/sys refuses large reads."""
    assert kernel.release(Sysroot(Path("/"))) == platform.release()


def test_what_is_not_there(tmp_path: Path) -> None:
    host = Sysroot(tmp_path)
    assert host.text("/proc/modules") is None
    assert host.names("/sys/bus") == []
    assert not host.exists("/dev/nvidia0")


def test_a_dangling_link_is_something(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert Sysroot(tmp_path).exists("/link")


def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert Sysroot(tmp_path).text("/pipe") == ""


def test_a_folder_in_a_files_place_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "version").mkdir()
    with pytest.raises(CannotLookError, match="/version cannot be read: Is a directory"):
        Sysroot(tmp_path).text("/version")
