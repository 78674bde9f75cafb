"""The documentation says what the code does: reference pages, links, commands, codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from iblvideo_admin.errors import CATALOGUE

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_reference_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/reference.py", "--check"],
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_dead_link(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_code_that_is_raised_is_in_the_catalogue_and_every_entry_is_used() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "iblvideo_admin").rglob("*.py") if path.name != "errors.py"
    )
    raised = set(re.findall(r"UserError\(\s*\"([a-z_.]+)\"", source))
    assert raised <= CATALOGUE.keys()
    assert CATALOGUE.keys() - raised == set()


def test_every_command_is_in_the_documentation() -> None:
    from iblvideo_admin.cli import app

    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = [command.name for command in app.registered_commands]
    for group in app.registered_groups:
        typer_app = group.typer_instance
        assert typer_app is not None
        for command in typer_app.registered_commands:
            assert command.callback is not None
            names.append(f"{group.name} {command.name or command.callback.__name__}")
    for name in names:
        assert f"iblvideo-admin {name}" in text, f"no page mentions `iblvideo-admin {name}`"
