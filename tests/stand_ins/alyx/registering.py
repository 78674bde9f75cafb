"""``/register-file`` and ``/check-protected``: one record per repository of the lab, and no safety against doubles."""

from __future__ import annotations

import time
import uuid
from pathlib import PurePosixPath
from typing import Any

from .world import ConflictError, World, now, types_of


class RefusedError(Exception):
    """An answer other than 2xx: its ``code`` and its JSON."""

    def __init__(self, status: int, /, **content: Any) -> None:
        super().__init__(status)
        self.code, self.content = status, {**content, "status_code": status}


def check_protected(world: World, data: dict[str, Any]) -> dict[str, Any]:
    session = _session(world, data)
    details, protected = _details(world, session, data["filenames"])
    if protected:
        return {"status_code": 403, "error": "One or more datasets is protected", "details": details}
    return {"status_code": 200, "details": details}


def register(world: World, data: dict[str, Any]) -> list[dict[str, Any]]:
    session = _session(world, data)
    if data.get("created_by") not in world.users:
        raise ConflictError("LabMember matching query does not exist.")
    if data.get("name") not in world.repositories:
        raise RefusedError(400, detail="DataRepository matching query does not exist.")
    details, protected = _details(world, session, data["filenames"])
    if protected:
        if data.get("check_protected"):
            raise RefusedError(403, error="One or more datasets is protected", details=details)
        raise RefusedError(403, detail="Dataset is protected")
    return [_one(world, session, data, index) for index in range(len(data["filenames"]))]


def _session(world: World, data: dict[str, Any]) -> dict[str, Any]:
    parts = PurePosixPath(data["path"]).parts
    if len(parts) < 3:
        raise RefusedError(400, error=f"The path {data['path']} should be `nickname/YYYY-MM-DD/n/...")
    for row in world.sessions.values():
        if (row["subject"], row["start_time"][:10], f"{row['number']:03d}") == parts[:3]:
            return row
    raise RefusedError(400, error=f"There is no session {data['path']}")


def _details(world: World, session: dict[str, Any], names: list[str]) -> tuple[list[dict[str, Any]], bool]:
    details = []
    for name in names:
        found = [d for d in world.datasets.values() if _is(d, session, PurePosixPath(name))]
        details.append({name: [{d["revision"]: bool(d["protected"])} for d in found]})
    return details, any(state for one in details for info in one.values() for each in info for state in each.values())


def _is(dataset: dict[str, Any], session: dict[str, Any], path: PurePosixPath) -> bool:
    return (dataset["session"], dataset["name"], dataset["collection"]) == (session["id"], path.name, str(path.parent))


def _one(world: World, session: dict[str, Any], data: dict[str, Any], index: int) -> dict[str, Any]:
    path = PurePosixPath(data["filenames"][index])
    kind, form = types_of(path.name)
    there = [d for d in world.datasets.values() if _is(d, session, path)]
    if len(there) > 1:
        raise ConflictError(f"get() returned more than one Dataset -- it returned {len(there)}!")
    time.sleep(world.pause_s)  # nothing keeps another request from finding nothing either
    repositories = list(dict.fromkeys([*world.labs[session["lab"]], data["name"]]))
    digest = (data.get("hashes") or [None] * (index + 1))[index]
    if there:
        dataset = there[0]
        changed = dataset["hash"] != digest
    else:
        dataset, changed = {"id": str(uuid.uuid4()), "file_records": [], "created_datetime": now()}, False
        dataset |= {"session": session["id"], "name": path.name, "collection": str(path.parent), "protected": False}
        dataset |= {"revision": "", "experiment_number": session["number"]}
    versions = data.get("versions")
    dataset |= {
        "created_by": data["created_by"], "dataset_type": kind, "data_format": form, "hash": digest,
        "file_size": (data.get("filesizes") or [None] * (index + 1))[index],
        "version": versions[index] if isinstance(versions, list) else versions,
    }  # fmt: skip
    known = {record["data_repository"]: record for record in dataset["file_records"]}
    for name in repositories:
        record = known.get(name)
        if record is None:
            relative = f"{PurePosixPath(data['path'])}/{path}"
            record = {"id": str(uuid.uuid4()), "data_repository": name, "relative_path": relative, "exists": False}
            dataset["file_records"].append(record)
        if changed:
            record["exists"] = False
        if name == data["name"] and data.get("exists", True):
            record["exists"] = True
    world.datasets[dataset["id"]] = dataset
    return {
        **{key: dataset[key] for key in ("id", "name", "file_size", "created_by", "created_datetime", "collection")},
        "subject": session["subject"], "dataset_type": kind, "data_format": form, "session": session["id"],
        "session_number": session["number"], "session_users": "dlc_server", "revision": "", "default": True, "qc": 0,
        "session_start_time": session["start_time"], "file_records": [dict(r) for r in dataset["file_records"]],
    }  # fmt: skip
