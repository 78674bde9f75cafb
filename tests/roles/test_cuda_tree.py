"""A toolkit's folder: whose it is, whether it is whole, and that nothing of others is touched."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stand_ins.provision import cuda_toolkit
from stand_ins.provision.cuda_toolkit import CUDA_10_0, CUDA_11_8

from iblvideo_admin import toolchains

TOOLCHAIN = toolchains.load("dlc-tf1-cuda10.0")
assert TOOLCHAIN.cuda is not None
LIBRARIES, FOLDERS = TOOLCHAIN.cuda["libraries"], TOOLCHAIN.cuda["library_path"]
MARKER = ".iblvideo-admin.json"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="SKIPPED: there is no C compiler to make stubs with")


class Place:
    """A /usr/local of one's own."""

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.module, self.local = module, folder
        self.root, self.link = folder / "cuda-10.0", folder / "cuda"

    def run(self, state: str = "look", check: bool = False, **given: Any) -> dict[str, Any]:
        params = {"root": str(self.root), "state": state, "folders": FOLDERS, "libraries": LIBRARIES}
        params |= {"about": {"release": "10.0.130"}, "link": str(self.link)}
        return dict(self.module.run({**params, **given}, check))

    def marker(self) -> dict[str, Any]:
        return dict(json.loads((self.root / MARKER).read_text()))

    def tree(self) -> dict[str, tuple[int, float, bytes | str]]:
        """Modes, times and contents."""
        paths = [self.local, *self.local.rglob("*")]
        return {
            str(path.relative_to(self.local)): (
                path.lstat().st_mode,
                path.lstat().st_mtime,
                str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "",
            )
            for path in paths
        }


@pytest.fixture
def place(cuda_tree: ModuleType, tmp_path: Path) -> Place:
    (tmp_path / "local").mkdir()
    return Place(cuda_tree, tmp_path / "local")


def test_from_nothing_to_installed_and_gone(place: Place) -> None:
    assert place.run()["found"] == "absent"
    assert place.run("begin", check=True)["changed"] and not place.root.exists()
    place.run("begin")
    assert place.run()["found"] == "installing"
    cuda_toolkit.install(CUDA_10_0, place.root)
    assert place.run("installed")["missing"] == []
    looked = place.run()
    assert (looked["found"], looked["missing"], looked["changed"]) == ("installed", [], False)
    assert place.marker() == {"release": "10.0.130", "state": "installed"}
    assert place.run("absent", check=True)["changed"] and place.root.exists()
    assert place.run("absent")["changed"] and not place.root.exists()
    assert not place.run("absent")["changed"]


def test_an_empty_folder_is_nobodys(place: Place) -> None:
    place.root.mkdir(mode=0o700)
    inode = place.root.stat().st_ino
    assert place.run()["found"] == "absent"
    place.run("begin")
    assert place.root.stat().st_mode & 0o7777 == 0o755
    assert place.root.stat().st_ino == inode, "a disk may be mounted there"


def test_every_user_may_read_it_whatever_the_umask(place: Place) -> None:
    before = os.umask(0o077)
    try:
        place.run("begin")
    finally:
        os.umask(before)
    assert place.root.stat().st_mode & 0o7777 == 0o755
    assert (place.root / MARKER).stat().st_mode & 0o7777 == 0o644


def test_what_an_installer_left_half_way_is_begun_anew(place: Place) -> None:
    place.run("begin")
    (place.root / "lib64").mkdir()
    (place.root / "lib64/half").write_text("of a library")
    place.run("begin")
    assert [path.name for path in place.root.iterdir()] == [MARKER]


def test_a_marker_that_was_being_written_is_nobodys(place: Place) -> None:
    place.root.mkdir()
    (place.root / f"{MARKER}.new").write_text('{"state": ')
    assert place.run()["found"] == "absent"
    place.run("begin")
    assert place.run()["found"] == "installing"


@pytest.mark.parametrize("content", ["", "{", "[]", '"installed"', "{}", '{"state": "other"}', '{"state": null}'])
def test_a_marker_that_we_cannot_have_written_makes_nothing_ours(place: Place, content: str) -> None:
    place.root.mkdir()
    (place.root / MARKER).write_text(content)
    assert place.run()["found"] == "foreign"
    assert not place.run("absent")["changed"] and place.root.exists()


@pytest.mark.parametrize("what", ["folder", "file", "dangling link", "link to a folder"])
def test_what_is_not_ours_is_foreign_and_stays(place: Place, what: str) -> None:
    if what == "folder":
        (place.root / "lib64").mkdir(parents=True)
    elif what == "file":
        place.root.write_text("of somebody")
    else:
        place.root.symlink_to("elsewhere")
        if what == "link to a folder":
            (place.local / "elsewhere/lib64").mkdir(parents=True)
    before = place.tree()
    assert place.run()["found"] == "foreign"
    with pytest.raises(place.module.Refused, match="nothing is installed over it"):
        place.run("begin")
    assert not place.run("absent")["changed"]
    assert place.run("adopted")["missing"]
    assert place.tree() == before


def test_adoption_adds_a_marker_and_changes_nothing(place: Place) -> None:
    cuda_toolkit.install(CUDA_10_0, place.root)
    place.link.symlink_to("cuda-10.0")
    before = place.tree()
    assert place.run("adopted", check=True)["changed"] and place.tree() == before
    assert place.run("adopted")["missing"] == []
    after = place.tree()
    assert after.pop(f"cuda-10.0/{MARKER}")
    # a folder's time changes as something is put into it
    assert {n: v for n, v in after.items() if n != "cuda-10.0"} == {n: v for n, v in before.items() if n != "cuda-10.0"}
    assert place.run()["found"] == "adopted"
    assert place.run("absent")["changed"]
    assert {n: v for n, v in place.tree().items() if n != "cuda-10.0"} == {
        n: v for n, v in before.items() if n != "cuda-10.0"
    }


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "not there"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "a link to nothing"),
        (lambda path: (path.unlink(), path.write_bytes(b"text")), "no library"),
        (lambda path: (path.unlink(), path.symlink_to("libcufft.so.10.0")), "another library"),
        (lambda path: (path.unlink(), path.write_bytes(b"")), "no library"),
    ],
    ids=["missing", "dangling", "no library", "another", "empty"],
)
def test_what_is_not_whole_is_not_adopted_and_says_what_it_lacks(place: Place, harm: Any, said: str) -> None:
    cuda_toolkit.install(CUDA_10_0, place.root)
    harm(place.root / "lib64/libcublas.so.10.0")
    before = place.tree()
    assert place.run("adopted")["missing"] == [f"lib64/libcublas.so.10.0: {said}"]
    assert place.tree() == before


def test_a_library_that_was_lost_later_is_named(place: Place) -> None:
    place.run("begin")
    cuda_toolkit.install(CUDA_10_0, place.root)
    place.run("installed")
    (place.root / "extras/CUPTI/lib64/libcupti.so.10.0.130").unlink()
    looked = place.run()
    assert looked["found"] == "installed"
    assert looked["missing"] == ["lib64/libcupti.so.10.0: not there"] or looked["missing"] == [
        "extras/CUPTI/lib64/libcupti.so.10.0: not there"
    ]


@pytest.mark.parametrize("before", [None, "cuda-9.2", "/opt/cuda", "a folder"])
@pytest.mark.parametrize("died", [False, True])
def test_everybodys_link_is_as_it_was(place: Place, before: str | None, died: bool) -> None:
    if before == "a folder":
        place.link.mkdir()
    elif before:
        place.link.symlink_to(before)
    place.run("begin")
    cuda_toolkit.install(CUDA_10_0, place.root)
    if before != "a folder":
        place.link.unlink(missing_ok=True)
        place.link.symlink_to("cuda-10.0")  # as an installer does
    if died:
        place.run("begin")
        cuda_toolkit.install(CUDA_10_0, place.root)
    assert place.run("installed")["moved"] is (before != "a folder")
    assert place.link.is_dir() if before == "a folder" else place.module.link_of(str(place.link)) == before


def test_what_failed_goes_and_everybodys_link_comes_back(place: Place) -> None:
    place.link.symlink_to("cuda-9.2")
    place.run("begin")
    (place.root / "lib64").mkdir()
    place.link.unlink()
    place.link.symlink_to("cuda-10.0")
    assert place.run("absent")["changed"]
    assert str(place.link.readlink()) == "cuda-9.2" and not place.root.exists()


def test_a_package_may_go_on_where_it_was_interrupted(place: Place) -> None:
    """Dpkg would not put its files there a second time."""
    about = {"package": "cuda-toolkit-10-0"}
    place.run("begin", about=about)
    (place.root / "lib64").mkdir()
    place.run("begin", about=about)
    assert (place.root / "lib64").is_dir()
    place.run("begin")
    assert not (place.root / "lib64").exists()


def test_packages_of_before_an_interruption_are_remembered(place: Place) -> None:
    """Apt names only what is still to come; what it does not name would stay when the toolkit is uninstalled."""
    package = {"release": "10.0.130", "package": "cuda-toolkit-10-0"}
    place.run("begin", about={**package, "packages": ["cuda-cublas-10-0", "cuda-toolkit-10-0"]})
    cuda_toolkit.install(CUDA_10_0, place.root)
    place.run("begin", about={**package, "packages": ["cuda-toolkit-10-0"]})
    assert place.marker()["packages"] == ["cuda-cublas-10-0", "cuda-toolkit-10-0"]
    place.run("begin", about={**package, "packages": []})
    assert place.run("installed", about={**package, "packages": []})["missing"] == []
    assert place.run()["packages"] == ["cuda-cublas-10-0", "cuda-toolkit-10-0"]
    place.run("absent")
    assert not place.root.exists()
    place.run("begin", about={**package, "packages": ["cuda-toolkit-10-0"]})
    assert place.marker()["packages"] == ["cuda-toolkit-10-0"], "a new beginning"


def test_a_package_without_its_list_is_left_to_dpkg(place: Place) -> None:
    """As somebody had installed it before: its files are not put there a second time."""
    about = {"release": "10.0.130", "package": "cuda-toolkit-10-0", "packages": []}
    place.run("begin", about=about)
    cuda_toolkit.install(CUDA_10_0, place.root)
    place.run("installed", about=about)
    assert place.run("absent")["changed"]
    assert (place.root / "lib64/libcudart.so.10.0").exists() and not (place.root / MARKER).exists()


def test_later_toolkits_lie_in_targets(place: Place) -> None:
    cuda_toolkit.install(CUDA_11_8, place.root)
    names = ["libcudart.so.11.0", "libcublas.so.11", "libcupti.so.11.8"]
    assert place.run("adopted", libraries=names)["missing"] == []


def test_the_room_is_told(place: Place) -> None:
    assert place.run()["free_gb"] > 0
