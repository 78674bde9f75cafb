"""What each endpoint answers to whoever is logged in."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from . import filters, registering, schema
from .registering import RefusedError
from .world import DATASET_TYPES, FORMATS, STATUSES, World, data_path, now

_PAGE, _MOST = 250, 1000
_WRITABLE = (
    "status", "log", "version", "time_elapsed_secs", "priority", "level", "gpu", "cpu", "ram", "io_charge",
    "time_out_secs", "name", "executable", "graph", "arguments", "parents",
)  # fmt: skip
_SMALL = ("priority", "level", "gpu", "cpu", "ram", "io_charge", "time_out_secs")


def answer(  # noqa: PLR0911  one for each endpoint
    world: World, method: str, path: str, query: dict[str, str], data: Any, user: str, base: str
) -> tuple[int, Any]:
    """Status and content.  Raises RefusedError, ConflictError (500) or ValueError (400)."""
    if path == "/api/schema":
        return 200, schema.document()
    endpoint, _, key = path.strip("/").partition("/")
    if method == "GET" and endpoint == "check-protected":
        return 200, registering.check_protected(world, data or query)
    if method == "POST" and endpoint == "register-file":
        _require_writer(user)
        return 201, registering.register(world, data)
    if method == "PATCH" and endpoint == "tasks":
        _require_writer(user)
        return 200, _patch(world, key, data)
    if method == "PATCH" and endpoint == "files":
        return 200, _patch_file(world, key, data)
    if method != "GET":
        raise RefusedError(405, detail=f'Method "{method}" not allowed.')
    if key:
        return 200, _read(world, endpoint, key, base)
    return 200, _page(world, endpoint, query, base)


def _require_writer(user: str) -> None:
    if user == "public_user":
        raise RefusedError(403, detail="You do not have permission to perform this action.")


def _page(world: World, endpoint: str, query: dict[str, str], base: str) -> Any:
    rows: Iterable[dict[str, Any]]
    if endpoint == "tasks":
        rows = sorted(world.tasks.values(), key=lambda task: (task["level"], -task["priority"], _late(world, task)))
    elif endpoint == "sessions":
        rows = sorted(world.sessions.values(), key=lambda row: row["start_time"], reverse=True)
    elif endpoint == "datasets":
        rows = list(world.datasets.values())
    elif endpoint == "data-repository":
        rows = list(world.repositories.values())
    elif endpoint == "dataset-types":
        rows = [{"name": name, "filename_pattern": pattern} for name, pattern in DATASET_TYPES]
    elif endpoint == "data-formats":
        rows = [{"name": name, "file_extension": ending} for ending, name in FORMATS]
    elif endpoint == "labs":
        rows = [{"name": name, "repositories": names} for name, names in world.labs.items()]
    else:
        raise RefusedError(404, detail="Not found.")
    found = filters.listed(world, rows, query, endpoint)
    shown = {"tasks": dict, "datasets": lambda row: _dataset(world, row, base)}.get(endpoint, dict)
    limit = min(int(query.get("limit") or _PAGE), _MOST)
    offset = int(query.get("offset") or 0)
    page = [shown(row) for row in found[offset : offset + limit]]
    following = {**query, "limit": limit, "offset": offset + limit}
    more = offset + limit < len(found)
    return {
        "count": len(found), "next": f"{base}/{endpoint}?{urlencode(following)}" if more else None, "previous": None,
        "results": page,
    }  # fmt: skip


def _late(world: World, task: dict[str, Any]) -> str:
    """The latest session first: its letters turned round."""
    start = world.sessions[task["session"]]["start_time"]
    return "".join(chr(255 - ord(letter)) for letter in start)


def _read(world: World, endpoint: str, key: str, base: str) -> Any:
    rows = {"tasks": world.tasks, "sessions": world.sessions, "datasets": world.datasets,
            "data-repository": world.repositories}.get(endpoint, {})  # fmt: skip
    if key not in rows:
        raise RefusedError(404, detail="Not found.")
    if endpoint == "sessions":
        return {
            **rows[key],
            "url": f"{base}/sessions/{key}",
            "data_dataset_session_related": _related(world, key, base),
        }
    return _dataset(world, rows[key], base) if endpoint == "datasets" else dict(rows[key])


def _related(world: World, session: str, base: str) -> list[dict[str, Any]]:
    """Only datasets that a repository for everybody has."""
    found = []
    for row in world.datasets.values():
        there = [r for r in row["file_records"] if r["exists"] and not filters.personal(world, r)]
        if row["session"] == session and there:
            names = ("id", "name", "dataset_type", "file_size", "hash", "version", "collection")
            kept = {key: row[key] for key in names}
            kept |= {"revision": "", "qc": "NOT_SET", "default_revision": "True"}
            url = _url(world, there[0], row["id"])
            found.append({**kept, "data_url": url, "url": f"{base}/datasets/{row['id']}"})
    return found


def _dataset(world: World, row: dict[str, Any], base: str) -> dict[str, Any]:
    records = [
        {
            "id": record["id"], "data_repository": record["data_repository"], "relative_path": record["relative_path"],
            "data_repository_path": world.repositories[record["data_repository"]]["globus_path"],
            "data_url": _url(world, record, row["id"]), "exists": record["exists"],
        }
        for record in row["file_records"]
    ]  # fmt: skip
    without = {key: value for key, value in row.items() if key != "id"}
    return {
        **without, "url": f"{base}/datasets/{row['id']}", "session": f"{base}/sessions/{row['session']}",
        "file_records": records, "protected": int(row["protected"]), "public": 0, "tags": [], "qc": "NOT_SET",
        "default_dataset": True, "auto_datetime": row["created_datetime"], "json": None,
    }  # fmt: skip


def _url(world: World, record: dict[str, Any], dataset: str) -> str | None:
    if not world.repositories[record["data_repository"]]["data_url"]:
        return None
    return f"{world.data_url}/{data_path(world, record, dataset)}"


def _patch(world: World, key: str, data: dict[str, Any]) -> dict[str, Any]:
    """The whole row is read, changed and saved: what another request saves meanwhile is lost."""
    if key not in world.tasks:
        raise RefusedError(404, detail="Not found.")
    row = dict(world.tasks[key])
    for name, value in data.items():
        if name not in _WRITABLE:
            continue  # dropped without a word
        _check(name, value)
        row[name] = value
    time.sleep(world.pause_s)
    row["datetime"] = now()
    with world.lock:
        if row["status"] != world.tasks[key]["status"]:
            world.changes.append((key, row["status"]))
        world.tasks[key] = row
    return dict(row)


def _check(name: str, value: Any) -> None:
    if name == "status" and value not in STATUSES:
        raise RefusedError(400, status=[f'"{value}" is not a valid choice.'])
    if name in _SMALL and isinstance(value, int) and value > 32767:
        raise RefusedError(400, **{name: ["Ensure this value is less than or equal to 32767."]})
    if name in ("version", "name") and value is not None and len(value) > 64:
        raise RefusedError(400, **{name: ["Ensure this field has no more than 64 characters."]})
    if name == "log" and value is not None and "\0" in value:
        raise RefusedError(400, log=["Null characters are not allowed."])


def _patch_file(world: World, key: str, data: dict[str, Any]) -> dict[str, Any]:
    for row in world.datasets.values():
        for record in row["file_records"]:
            if record["id"] == str(uuid.UUID(key)):
                record["exists"] = bool(data.get("exists", record["exists"]))
                return dict(record)
    raise RefusedError(404, detail="Not found.")
