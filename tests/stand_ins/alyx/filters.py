"""The lists' filters with their traps: ``django=`` pairs, names in any case, what is misspelt is ignored."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from .world import STATUSES, ConflictError, World

_IGNORED = {"limit", "offset"}


def listed(  # noqa: C901  one for each filter
    world: World, rows: Iterable[dict[str, Any]], query: dict[str, str], endpoint: str
) -> list[dict[str, Any]]:
    """The rows that fit.  Raises :class:`ConflictError` where Alyx answers 500, ValueError where it answers 400."""
    found = list(rows)
    for name, value in query.items():
        if name in _IGNORED or not value:
            continue
        if name == "django":
            found = [row for row in found if _fits(world, row, value)]
        elif name == "status":
            known = {status.casefold(): status for status in STATUSES}
            if value.casefold() not in known:
                raise ConflictError(f"'{value}'")
            found = [row for row in found if row["status"] == known[value.casefold()]]
        elif name == "data_repository":
            raise ValueError("data_repository")
        elif name == "exists" and endpoint == "datasets":
            found = [d for d in found if any(r["exists"] for r in d["file_records"] if not personal(world, r))]
        elif name == "date_range":
            first, last = value.split(",")
            found = [row for row in found if first <= row["start_time"][:10] <= last]
        elif name == "number":
            found = [row for row in found if row["number"] == int(value)]
        elif name in ("name", "session", "subject", "lab", "dataset_type", "collection", "graph", "executable"):
            found = [row for row in found if _value(world, row, name) == value]
    return found


def personal(world: World, record: dict[str, Any]) -> bool:
    return bool(world.repositories[record["data_repository"]]["globus_is_personal"])


def _parts(text: str) -> list[str]:
    """Split at the commas that are outside of brackets."""
    return re.findall(r"(?:\[[^\]]*\]|[^,])+", text)


def _fits(world: World, row: dict[str, Any], text: str) -> bool:
    parts = _parts(text)
    if len(parts) % 2:
        raise ConflictError("not enough values to unpack")
    for field, value in zip(parts[::2], parts[1::2], strict=True):
        negated = field.startswith("~")
        if _matches(world, row, field.removeprefix("~"), value) == negated:
            return False
    return True


def _matches(world: World, row: dict[str, Any], field: str, text: str) -> bool:
    is_list = text.startswith("[")
    wanted = ast.literal_eval(text) if is_list else text
    if field.endswith("__in"):
        if not is_list:
            wanted = list(text)  # Django goes through its letters
        return any(_same(_value(world, row, field.removesuffix("__in")), one) for one in wanted)
    for ending, compare in (("__lt", -1), ("__gt", 1)):
        if field.endswith(ending):
            value = str(_value(world, row, field.removesuffix(ending)))
            return (value > text) - (value < text) == compare
    return _same(_value(world, row, field), wanted)


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, int):
        try:
            return value == int(float(wanted))
        except ValueError:
            raise ConflictError(f"Field expected a number but got '{wanted}'.") from None
    return str(value) == str(wanted)


def _value(world: World, row: dict[str, Any], field: str) -> Any:
    if field in ("pk", "id"):
        return row["id"]
    if field == "status":
        return STATUSES[row["status"]]
    if field == "data_repository__name":
        return row["data_repository"]
    if field in ("session__lab__name", "lab", "lab__name"):
        return (world.sessions[row["session"]] if "session" in row else row)["lab"]
    if field in ("subject", "session__subject__nickname", "subject__nickname"):
        return (world.sessions[row["session"]] if "session" in row else row)["subject"]
    if field in row:
        return row[field]
    raise ConflictError(f"Cannot resolve keyword '{field}' into field.")
