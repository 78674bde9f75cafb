"""Imports run downwards only, and rooms stay small."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "iblvideo_admin"
BENEATH_ALL = {"errors", "files", "interruption", "rigs", "sessions", "settings", "systemd", "toolchains", ""}
MAY_IMPORT = {
    "engines": set(),
    "tracking": {"engines"},
    "gpu": {"engines", "result", "tracking", "demo"},
    "queue": {"engines", "tracking", "gpu", "result"},
    "alyx": {"queue", "engines", "tracking", "result"},
    "reporting": {"alyx", "queue", "gpu", "tracking", "render", "result"},
    "render": {"result"},
    "result": set(),
    "converting": {"engines", "gpu", "tracking", "result"},
    "cli": {"alyx", "engines", "queue", "reporting", "gpu", "tracking", "converting", "render", "result"},
    "__main__": {"cli"},
    "demo": {"tracking", "render"},
    "errors": set(),
    "files": set(),
    "interruption": set(),
    "systemd": set(),
    "rigs": set(),
    "sessions": set(),
    "settings": set(),
    "toolchains": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def floor(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py") if parts else ""


def imported(path: Path) -> set[str]:
    """The floors that a module imports, also inside functions."""
    package = ("iblvideo_admin", *path.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple((node.module or "").split(".")) if node.module else ()
            names = [(*base, alias.name) for alias in node.names]
        found |= {floor(name[1:2]) for name in names if name[0] == "iblvideo_admin"}
    return {name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_run_one_way(path: Path) -> None:
    own = floor(path.relative_to(PACKAGE).parts)
    if own == "__init__":
        assert imported(path) == set()
        return
    allowed = MAY_IMPORT[own] | (BENEATH_ALL if own not in BENEATH_ALL else {"errors"}) | {own}
    allowed |= {"rigs"} if own == "sessions" else set()
    assert imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_every_floor_is_in_the_table() -> None:
    floors = {floor(path.relative_to(PACKAGE).parts) for path in MODULES} - {"__init__"}
    assert floors == MAY_IMPORT.keys()
