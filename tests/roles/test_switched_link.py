"""`current` and `previous`: whatever is switched in whatever order, and wherever it is interrupted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

VERSIONS = ("a", "b", "c", "d")
# a version to be switched to; "" goes back; a number dies after so many renames of the next switch
STEPS = st.lists(st.tuples(st.sampled_from(["", *VERSIONS]), st.sampled_from([None, None, None, 0, 1])), max_size=12)


class PowerCutError(Exception):
    """The host dies here."""


@contextmanager
def dying(module: ModuleType, after: int | None) -> Iterator[None]:
    """After so many renames."""
    real, done = os.replace, []

    def replace(*arguments: Any) -> None:
        if after is not None and len(done) >= after:
            raise PowerCutError
        done.append(arguments)
        real(*arguments)

    module.os.replace = replace  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.os.replace = real  # type: ignore[attr-defined]


def links(folder: Path) -> tuple[str, str]:
    return tuple(str((folder / n).readlink()) if (folder / n).is_symlink() else "" for n in ("current", "previous"))  # type: ignore[return-value]


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_any_sequence(switched_link: ModuleType, steps: list[tuple[str, int | None]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for version in VERSIONS:
            (folder / version).mkdir()
        current, previous = "", ""
        for version, dies_after in steps:
            wanted = version or previous
            if not version and wanted in ("", current):
                with pytest.raises(switched_link.Refused, match="no previous version to go back to"):
                    switched_link.switch(str(folder))
                continue
            try:
                with dying(switched_link, dies_after):
                    changed, now, before = switched_link.switch(str(folder), version)
            except PowerCutError:
                seen = links(folder)
                assert seen[0] in (current, wanted), "there is a version in use, the old one or the new"
                # whoever runs it again gets what was wanted; and what was in use is not forgotten
                if seen[0] != wanted or version:
                    assert switched_link.switch(str(folder), version)[1] == wanted
                if version and version != current:
                    assert links(folder) == (version, current or previous)
            else:
                assert changed is (wanted != current)
                assert links(folder) == (now, before)
                assert now == wanted and before == (previous if wanted == current else current or previous)
            current, previous = links(folder)
            assert (folder / "current").is_dir() or not current
            assert {path.name for path in folder.iterdir()} - {"current", "previous"} <= {
                *VERSIONS, "current.iblvideo-new", "previous.iblvideo-new",
            }  # fmt: skip


def test_there_and_back_again(switched_link: ModuleType, tmp_path: Path) -> None:
    for version in ("old", "new"):
        (tmp_path / version).mkdir()
        switched_link.switch(str(tmp_path), version)
    assert switched_link.switch(str(tmp_path)) == (True, "old", "new")
    assert switched_link.switch(str(tmp_path)) == (True, "new", "old")


def test_check_mode_and_what_is_no_link(switched_link: ModuleType, tmp_path: Path) -> None:
    assert switched_link.switch(str(tmp_path / "nothing"), "a", dry=True) == (True, "a", "")
    with pytest.raises(switched_link.Refused, match="a is not there any more"):
        switched_link.switch(str(tmp_path), "a")
    (tmp_path / "a").mkdir()
    switched_link.switch(str(tmp_path), "a", dry=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / "current").mkdir()
    with pytest.raises(switched_link.Refused, match=r"path\.taken: .*current exists"):
        switched_link.switch(str(tmp_path), "a")
    (tmp_path / "current").rmdir()
    (tmp_path / "previous").write_text("by hand")
    with pytest.raises(switched_link.Refused, match=r"path\.taken: .*previous exists"):
        switched_link.switch(str(tmp_path), "a")
    assert not (tmp_path / "current").exists()


def test_a_previous_version_that_was_removed(switched_link: ModuleType, tmp_path: Path) -> None:
    for version in ("old", "new"):
        (tmp_path / version).mkdir()
        switched_link.switch(str(tmp_path), version)
    (tmp_path / "old").rmdir()
    with pytest.raises(switched_link.Refused, match="old is not there any more"):
        switched_link.switch(str(tmp_path))
    assert str((tmp_path / "current").readlink()) == "new"


def test_a_version_that_failed_is_nothing_to_go_back_to(switched_link: ModuleType, tmp_path: Path) -> None:
    for version in ("oldest", "old", "failed"):
        (tmp_path / version).mkdir()
        switched_link.switch(str(tmp_path), version)
    assert switched_link.switch(str(tmp_path), "old", remember="oldest") == (True, "old", "oldest")
    assert switched_link.switch(str(tmp_path)) == (True, "oldest", "old")
