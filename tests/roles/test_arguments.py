"""Every variable of a role is described once, and the description is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def defaults(role: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")))


def options(role: Path) -> dict[str, Any]:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return dict(specs["argument_specs"]["main"]["options"])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_descriptions_name_the_same_variables(role: Path) -> None:
    assert set(defaults(role)) == set(options(role))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_described_defaults_are_the_defaults(role: Path) -> None:
    for name, value in defaults(role).items():
        described = options(role)[name]["default"]
        if not (isinstance(value, str) and "{{" in value):
            assert described == value, name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_readme_lists_them(role: Path) -> None:
    text = (role / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| (.+) \|$", text, flags=re.MULTILINE))
    assert rows == {name: spec["description"] for name, spec in options(role).items()}, "run `make docs`"


def test_the_example_inventory_names_real_variables() -> None:
    """Also in its comments: what is switched on by removing a `#` must work."""
    known = {name for role in ROLES for name in defaults(role)}
    text = (ROOT / "inventory.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?(\w+)=", text, flags=re.MULTILINE))
    assert named - known <= {"ansible_become"}
    assert len(named) > 8


def test_the_weights_role_wants_the_networks_that_tracking_needs() -> None:
    from iblvideo_admin.rigs import NETWORKS

    wanted = yaml.safe_load((ROOT / "roles/weights/vars/main.yml").read_text(encoding="utf-8"))["_weights_networks"]
    assert sorted(wanted) == sorted(network.folder for network in NETWORKS.values())
