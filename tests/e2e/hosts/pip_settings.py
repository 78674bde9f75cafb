"""The pip settings of this machine as one system-wide file of a host, for services and sudo, too."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

from e2e.hosts.machine import pip_settings_text

_COPIES = Path("/etc/pip-files")


def write(tree: Path) -> None:
    """Into ``tree``; files that settings name and that are not there are copied, and the setting names the copy."""
    parts: dict[str, list[str]] = {}
    for section, option, words in _settings():
        value = "\n    ".join(_copied(word, tree) for word in words)
        parts.setdefault(section, []).append(f"{option} = {value}\n")
    text = "".join(f"[{section}]\n{''.join(lines)}\n" for section, lines in parts.items())
    (tree / "etc/pip.conf").write_text(text)


def named_files() -> list[Path]:
    """The files on this machine that settings name."""
    return [
        Path(word) for _, _, words in _settings() for word in words if Path(word).is_absolute() and Path(word).is_file()
    ]


def folders() -> list[Path]:
    """Those with packages; of an index its parent, as its pages may point to files beside it."""
    found = set()
    for _, option, words in _settings():
        for word in words:
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.is_dir():
                found.add(path.parent if "index" in option else path)
    return sorted(found)


def _settings() -> Iterator[tuple[str, str, list[str]]]:
    """Section, option and values; a variable outdoes a file."""
    found: dict[tuple[str, str], str] = {}
    for line in pip_settings_text().splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in ("global", "install", ":env:") and option != "config-file":
            place = ("global" if section == ":env:" else section, option)
            if section == ":env:" or place not in found:
                found[place] = str(ast.literal_eval(value))
    for (section, option), value in found.items():
        yield section, option, value.split() or [""]


def _copied(word: str, tree: Path) -> str:
    path = Path(word)
    if not path.is_absolute() or not path.is_file() or (tree / word[1:]).exists():
        return word
    copy = _COPIES / path.name
    target = tree / str(copy)[1:]
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o644)
    return str(copy)
