"""Filters for the inventory's own words (Ansible itself ignores a variable that nobody reads), and for files of data."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_ROLES = Path(__file__).resolve().parents[2]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {"misnamed": misnamed, "yaml_of_file": yaml_of_file}


def misnamed(names: list[str], renamed: dict[str, str]) -> list[str]:
    """A sentence for each name that is an old one, or nearly one of ours."""
    said = []
    for name in sorted(set(names) - set(known())):
        if name in renamed:
            said.append(f"{name} is called {renamed[name]} now.")
        elif not name.startswith("_") and (close := get_close_matches(name, known(), 1, 0.85)):
            said.append(f"{name} is no variable of these roles: did you mean {close[0]}?")
    return said


def yaml_of_file(path: str) -> Any:
    """What a YAML file on this machine holds."""
    return yaml.safe_load(Path(path).read_text("utf-8"))


@cache
def known() -> tuple[str, ...]:
    """Every variable that a role describes."""
    specs = [yaml_of_file(str(path)) for path in sorted(_ROLES.glob("*/meta/argument_specs.yml"))]
    return tuple(name for spec in specs for name in spec["argument_specs"]["main"]["options"])
