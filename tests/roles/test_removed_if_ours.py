"""What is removed is ours by what it is; whatever else is there stays, and is listed."""

from __future__ import annotations

import errno
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MARKER = ".iblvideo-admin.json"


def environment(path: Path, marker: str | None = '{"state": "proven"}') -> Path:
    (path / "bin").mkdir(parents=True)
    (path / "bin/python").write_text("#!/bin/sh\n")
    if marker is not None:
        (path / MARKER).write_text(marker)
    return path


def run(module: ModuleType, **given: Any) -> tuple[list[str], list[str]]:
    names = ("links", "below", "folders", "parents", "files", "named", "empty")
    removed, left = module.run({name: [str(path) for path in given.get(name, [])] for name in names}, False)
    return removed, left


def test_environments_with_their_links_and_folders(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    envs, tf1 = tmp_path / "envs", tmp_path / "envs/tf1"
    environment(tf1 / "aaa")
    environment(tf1 / "bbb")
    (tf1 / "current").symlink_to("bbb")
    (tf1 / "previous").symlink_to("aaa")
    habit = tmp_path / "home/dlc"
    habit.parent.mkdir()
    habit.symlink_to(tf1 / "current")
    removed, left = run(removed_if_ours, links=[habit], below=[envs], parents=[tf1, envs])
    assert left == [] and not envs.exists() and not habit.is_symlink() and habit.parent.is_dir()
    assert set(removed) == {str(path) for path in (envs, tf1, tf1 / "aaa", tf1 / "bbb", tf1 / "current",
                                                  tf1 / "previous", habit)}  # fmt: skip
    assert run(removed_if_ours, links=[habit], below=[envs], parents=[tf1, envs]) == ([], [])


@pytest.mark.parametrize("marker", [None, '{"state": "adopted"}', "[]"])
def test_what_is_not_ours_stays_with_its_parents(removed_if_ours: ModuleType, tmp_path: Path, marker: Any) -> None:
    envs, tf1 = tmp_path / "envs", tmp_path / "envs/tf1"
    environment(tf1 / "aaa")
    theirs = environment(tf1 / "theirs", marker)
    (tf1 / "current").symlink_to("theirs")
    removed, left = run(removed_if_ours, parents=[tf1, envs])
    assert removed == [str(tf1 / "aaa"), str(tf1 / "current")], "the link was made by a switch, whatever it leads to"
    assert left == [str(theirs), str(tf1)] and (theirs / "bin/python").exists()


def test_links_that_lead_elsewhere_stay(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    envs = tmp_path / "envs"
    environment(envs / "tf1/aaa")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "envs-of-mine").mkdir()
    made = {
        "elsewhere": tmp_path / "elsewhere",
        "beside": tmp_path / "envs-of-mine",
        "up": Path("envs/tf1/../../elsewhere"),
        "dangling": Path("/nowhere"),
    }
    for name, target in made.items():
        (tmp_path / f"link-{name}").symlink_to(target)
    (tmp_path / "link-relative").symlink_to("envs/tf1/aaa")
    (tmp_path / "link-gone").symlink_to(envs / "tf1/removed before")
    (tmp_path / "link-folder").mkdir()
    names = sorted(tmp_path.glob("link-*"))
    removed, left = run(removed_if_ours, links=names, below=[envs])
    assert removed == [str(tmp_path / "link-gone"), str(tmp_path / "link-relative")]
    assert left == [str(tmp_path / f"link-{name}") for name in sorted([*made, "folder"])]


def test_a_current_that_leads_out_is_not_ours(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli/current").symlink_to(tmp_path / "mine")
    assert run(removed_if_ours, parents=[tmp_path / "cli"]) == ([], [str(tmp_path / "cli/current")])
    assert (tmp_path / "cli/current").is_symlink() and (tmp_path / "mine").is_dir()


def test_files_that_say_so(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    ours, theirs, binary, link = (tmp_path / name for name in ("ours", "theirs", "binary", "link"))
    ours.write_text("#!/bin/sh\n# made by iblvideo-admin\n")
    theirs.write_text("#!/bin/sh\n" + "#" * 3000 + "\n# iblvideo\n")
    binary.write_bytes(b"\xff\xfe\x00")
    link.symlink_to("ours")
    removed, left = run(removed_if_ours, files=[ours, theirs, binary, link, tmp_path / "nothing"])
    assert removed == [str(ours)] and left == [str(theirs), str(binary), str(link)]


def test_named_twice_is_removed_once(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    folder = environment(tmp_path / "envs/aaa")
    link = tmp_path / "link"
    link.symlink_to(folder)
    given = {
        "links": [link, link],
        "below": [tmp_path / "envs"],
        "folders": [folder, folder],
        "parents": [folder.parent],
    }
    removed, left = run(removed_if_ours, **given)
    assert removed == [str(link), str(folder), str(folder.parent)] and left == []


def test_names_of_ours_and_folders_once_they_are_empty(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    data, downloads = tmp_path / "data", tmp_path / "data/downloads"
    (data / "of somebody, empty").mkdir(parents=True)
    (downloads / ".iblvideo-build/deep").mkdir(parents=True)
    for name in ("cuda.run", "cuda.run.part", "cpu", "thesis.pdf"):
        (downloads / name).touch()
    given: dict[str, Any] = {
        "named": [downloads / ".iblvideo-build", downloads / "cuda.run*", downloads / "nothing*"],
        "empty": [downloads, data],
    }
    removed, left = run(removed_if_ours, **given)
    assert removed == [str(downloads / name) for name in (".iblvideo-build", "cuda.run", "cuda.run.part")]
    assert left == [] and sorted(path.name for path in downloads.iterdir()) == ["cpu", "thesis.pdf"]
    assert run(removed_if_ours, **given) == ([], [])
    (downloads / "cpu").unlink()
    (downloads / "thesis.pdf").unlink()
    assert run(removed_if_ours, **given) == ([str(downloads)], [])
    (data / "of somebody, empty").rmdir()
    assert run(removed_if_ours, **given) == ([str(data)], [])


def test_a_folder_that_a_link_leads_to_is_not_emptied(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to("disk")
    assert run(removed_if_ours, empty=[tmp_path / "data"]) == ([], [])
    assert (tmp_path / "data").is_symlink() and (tmp_path / "disk").is_dir()


def test_where_a_disk_is_mounted_the_folder_stays(
    removed_if_ours: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(path: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    monkeypatch.setattr(removed_if_ours.os, "rmdir", busy)
    assert run(removed_if_ours, empty=[tmp_path]) == ([], [str(tmp_path)])


def test_a_switch_that_was_begun(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    environment(tmp_path / "cli/aaa")
    (tmp_path / "cli/current.iblvideo-new").symlink_to("aaa")
    _, left = run(removed_if_ours, parents=[tmp_path / "cli"])
    assert left == [] and not (tmp_path / "cli").exists()


def test_what_arrives_meanwhile_stays(
    removed_if_ours: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the removal somebody puts something there."""
    envs = tmp_path / "envs"
    environment(envs / "aaa")
    plan = removed_if_ours.plan

    def planned(given: dict[str, Any]) -> Any:
        found = plan(given)
        (envs / "arrived").write_text("of somebody")
        return found

    monkeypatch.setattr(removed_if_ours, "plan", planned)
    assert run(removed_if_ours, parents=[envs]) == ([str(envs / "aaa")], [str(envs)])
    assert [path.name for path in envs.iterdir()] == ["arrived"]


def test_check_mode_removes_nothing(removed_if_ours: ModuleType, tmp_path: Path) -> None:
    folder = environment(tmp_path / "envs/aaa")
    names = ("links", "below", "folders", "files", "named", "empty")
    given: dict[str, list[str]] = {name: [] for name in names} | {"parents": [str(folder.parent)]}
    removed, _ = removed_if_ours.run(given, True)
    assert removed == [str(folder), str(folder.parent)] and folder.exists()
