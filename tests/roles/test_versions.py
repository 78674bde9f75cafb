"""What an update has switched, and whether that is still so."""

from __future__ import annotations

import base64
import json
from types import ModuleType
from typing import Any

import pytest
from roles.conftest import load

PARTS = {"cli": "/opt/cli", "dlc": "/opt/envs/x", "weights": "/opt/weights"}


@pytest.fixture(scope="module")
def versions() -> ModuleType:
    return load("roles/base/filter_plugins/versions.py")


def links(*targets: str) -> list[dict[str, Any]]:
    """As `stat` says it."""
    return [{"stat": {"exists": True, "lnk_source": f"/opt/x/{t}"} if t else {"exists": False}} for t in targets]


def written(content: str) -> dict[str, Any]:
    return {"content": base64.b64encode(content.encode()).decode()}


def test_what_was_switched(versions: ModuleType) -> None:
    before, now = links("a", "b", ""), links("c", "b", "new")
    assert versions.parts_switched(PARTS, before, now) == {"cli": "c"}, (
        "what was not there before has nothing to go back to"
    )
    assert versions.parts_switched(PARTS, before, before) == {}


@pytest.mark.parametrize("slurped", [{}, {"failed": True}, written("half a {"), written("[1]"), {"content": "?"}])
def test_no_record(versions: ModuleType, slurped: dict[str, Any]) -> None:
    assert versions.last_update(slurped) == {}


def test_a_record_is_compared_with_what_is_in_use(versions: ModuleType) -> None:
    record = versions.last_update(written(json.dumps({"cli": "c", "weights": "w"})))
    assert versions.parts_changed_since(record, PARTS, links("c", "b", "w")) == []
    assert versions.parts_changed_since(record, PARTS, links("c", "b", "v")) == ["weights"]
    without = {part: PARTS[part] for part in ("cli", "dlc")}
    assert versions.parts_changed_since(record, without, links("c", "b")) == ["weights"]
