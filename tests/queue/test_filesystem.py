"""A state folder whose file system keeps nobody out is refused before any work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import STAND_INS, Lab

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue import filesystem


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real programs on a file system without locks, as far as they can tell."""
    library = tmp_path_factory.mktemp("shim") / "nolocks.so"
    compiler = shutil.which("gcc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, STAND_INS / "nolocks.c", "-ldl"], check=True)
    return library


@pytest.mark.parametrize(("kind", "said"), [("flock", "no working flock"), ("posix", "no working POSIX locks")])
def test_locks_that_keep_nobody_out(lab: Lab, shim: Path, kind: str, said: str) -> None:
    video = lab.video()
    document = lab.json("process", video.session, LD_PRELOAD=str(shim), NO_LOCKS=kind)
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "state.not_usable")
    assert said in document["errors"][0]["message"] and "state_dir" in document["errors"][0]["remedy"]
    assert not (lab.folder / "state/ledger.sqlite").exists() and not video.table.exists()


def test_a_ledger_that_was_made_elsewhere_and_copied_there(lab: Lab, shim: Path) -> None:
    lab.json("queue", "list")
    document = lab.json("process", lab.video().session, LD_PRELOAD=str(shim), NO_LOCKS="flock")
    assert document["errors"][0]["code"] == "state.not_usable"


def test_working_locks_are_taken(tmp_path: Path) -> None:
    filesystem.require_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_who_try_at_the_same_moment(tmp_path: Path) -> None:
    """Neither takes the other's trial for a file system without locks, and what a killed one left is removed."""
    (tmp_path / ".locks-999999999").touch()
    code = (
        "import sys; from pathlib import Path; from iblvideo_admin.queue.filesystem import require_locks\n"
        "for _ in range(300): require_locks(Path(sys.argv[1]))"
    )
    tries = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(3)]
    assert [one.wait(60) for one in tries] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written") as caught:
        filesystem.require_locks(tmp_path / "gone")
    assert caught.value.code == "state.not_usable"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_file_system_of_many_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(filesystem, "kind_of", lambda _: kind)
    with pytest.raises(UserError, match=f"{kind}.* is shared with other hosts") as caught:
        filesystem.require_locks(tmp_path)
    assert caught.value.code == "state.not_usable"


def test_the_kind_is_read_from_the_kernels_table(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    line = f"36 35 {device >> 8 & 0xFFF}:{device & 0xFF} / /mnt rw,noatime - nfs4 server:/data rw"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"21 1 254:9 / /other rw - ext4 /dev/x rw\nstrange\n{line}\n")
    assert filesystem.kind_of(tmp_path, mounts) == "nfs4"
    assert filesystem.kind_of(tmp_path, tmp_path / "none") == ""
    assert filesystem.kind_of(tmp_path / "gone") == ""
    assert filesystem.kind_of(Path("/proc")) == "proc"
