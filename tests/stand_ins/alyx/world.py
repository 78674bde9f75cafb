"""What is in the stand-in's database: one lab, its repositories, sessions, tasks and datasets."""

from __future__ import annotations

import hashlib
import itertools
import threading
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

STATUSES = {
    "Waiting": 20, "Held": 25, "Started": 30, "Errored": 40, "Abandoned": 45, "Empty": 50, "Incomplete": 55,
    "Complete": 60,
}  # fmt: skip
DATASET_TYPES = (
    ("camera.dlc", "*camera.dlc.*"),
    ("camera.times", "*camera.times*.npy"),
    ("_iblrig_Camera.raw", "_iblrig_*Camera.raw*"),
    ("camera.ROIMotionEnergy", "*camera.ROIMotionEnergy*"),
)
FORMATS = ((".pqt", "parquet"), (".npy", "npy"), (".mp4", "mp4"))
_NAMESPACE = uuid.UUID("c0ffee00-0000-4000-8000-000000000000")


class ConflictError(Exception):
    """What Django answers with 500: the text is its message."""


class World:
    """Rows as dictionaries.  ``pause_s`` is how long a save takes, so that races come as they were recorded."""

    def __init__(self, data_url: str = "", pause_s: float = 0.0) -> None:
        self.pause_s = pause_s
        self.data_url = data_url
        self.lock = threading.RLock()
        self.users = {"dlc_server": "secret-password-1", "other": "secret-password-2", "public_user": "international"}
        self.tokens: dict[str, str] = {}
        self.labs = {"testlab": ["testlab_SR", "flatiron_testlab"]}
        self.repositories: dict[str, dict[str, Any]] = {}
        self.repository("testlab_SR", "/mnt/s0/Data/Subjects/", personal=True)
        self.repository("flatiron_testlab", "/testlab/Subjects/", data_url=data_url)
        self.sessions: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.datasets: dict[str, dict[str, Any]] = {}
        self.changes: list[tuple[str, str]] = []
        """(task, status) of every change of a status, oldest first."""
        self._numbers = itertools.count(1)

    # ---------------------------------------------------------------------------------------- made by tests

    def repository(self, name: str, path: str, *, personal: bool = False, data_url: str = "") -> None:
        self.repositories[name] = {
            "name": name, "timezone": "UTC", "globus_path": path, "hostname": "127.0.0.1", "json": None,
            "repository_type": "Fileserver", "data_url": f"{data_url}{path}" if data_url else None,
            "globus_is_personal": personal, "globus_endpoint_id": str(uuid.uuid4()),
        }  # fmt: skip

    def session(self, subject: str = "KS001", date: str = "2026-01-10", number: int = 1, lab: str = "testlab") -> str:
        """A session; gives its id."""
        eid = self._id("session", subject, date, number)
        self.sessions[eid] = {
            "id": eid, "subject": subject, "users": ["dlc_server"], "location": f"_iblrig_{lab}_ephys_0", "lab": lab,
            "procedures": ["Ephys recording with acute probe(s)"], "projects": ["dlc_migration"], "type": "Experiment",
            "task_protocol": "_iblrig_tasks_ephysChoiceWorld8.24.0", "number": number, "narrative": "", "qc": "NOT_SET",
            "start_time": f"{date}T14:05:00", "end_time": f"{date}T15:20:00", "parent_session": None, "json": {},
            "extended_qc": None,
        }  # fmt: skip
        return eid

    def task(
        self, session: str, name: str = "DLC", status: str = "Waiting", parents: tuple[str, ...] = (), **fields: Any
    ) -> str:
        """A task; gives its id."""
        task = self._id("task", session, name, next(self._numbers))
        module = {"EphysDLC": "ephys_preprocessing", "TrainingDLC": "training_preprocessing"}.get(name, "video_tasks")
        self.tasks[task] = {
            "id": task, "parents": list(parents), "session": session, "data_repository": "testlab_SR", "status": status,
            "name": name, "priority": 60, "io_charge": 100, "level": 2, "gpu": 1, "cpu": 4, "ram": 4,
            "time_out_secs": 7200, "time_elapsed_secs": None, "executable": f"ibllib.pipes.{module}.{name}",
            "graph": "Pipeline", "log": None, "version": None, "datetime": now(),
            "arguments": {"sync": "nidq", "device_collection": "raw_video_data"}, **fields,
        }  # fmt: skip
        return task

    def pipeline(self, session: str, cameras: tuple[str, ...] | None = None, name: str = "DLC") -> tuple[str, str, str]:
        """A Complete VideoCompress, a Waiting DLC, a Held PostDLC: three tasks, each the next one's parent."""
        arguments: dict[str, Any] = {"sync": "nidq", "device_collection": "raw_video_data"}
        if cameras is not None:
            arguments["cameras"] = list(cameras)
        parent = self.task(session, "VideoCompress", "Complete", level=1, gpu=0)
        task = self.task(session, name, parents=(parent,), arguments=arguments)
        return parent, task, self.task(session, "PostDLC", "Held", (task,), level=3, gpu=0)

    def dataset(
        self, session: str, name: str, content: bytes, *, collection: str = "alf", protected: bool = False,
        remote: bool = True, repository: str = "testlab_SR", version: str = "4.0.0",
    ) -> str:  # fmt: skip
        """A dataset that is registered already; gives its id."""
        row = self.sessions[session]
        kind, form = types_of(name)
        dataset = str(uuid.uuid4())
        relative = f"{self.relative(session)}/{collection}/{name}"
        records = [{"id": str(uuid.uuid4()), "data_repository": repository, "relative_path": relative, "exists": True}]
        records.append({**records[0], "id": str(uuid.uuid4()), "data_repository": "flatiron_testlab", "exists": remote})
        self.datasets[dataset] = {
            "id": dataset, "name": name, "created_by": "dlc_server", "created_datetime": now(), "dataset_type": kind,
            "data_format": form, "collection": collection, "session": session, "file_size": len(content),
            "hash": hashlib.md5(content, usedforsecurity=False).hexdigest(), "version": version, "revision": "",
            "protected": protected, "file_records": records, "experiment_number": row["number"],
        }  # fmt: skip
        return dataset

    def relative(self, session: str) -> str:
        """subject/date/number."""
        row = self.sessions[session]
        return f"{row['subject']}/{row['start_time'][:10]}/{row['number']:03d}"

    # ---------------------------------------------------------------------------------------- asked by tests

    def status(self, task: str) -> str:
        return str(self.tasks[task]["status"])

    def set_status(self, task: str, status: str) -> None:
        """As somebody does by hand in Alyx."""
        with self.lock:
            self.tasks[task]["status"] = status
            self.tasks[task]["datetime"] = now()

    def registered(self, name: str = "") -> list[dict[str, Any]]:
        """Every dataset of a traced camera, or those of one name."""
        return [d for d in self.datasets.values() if d["dataset_type"] == "camera.dlc" and name in d["name"]]

    def seen(self, task: str) -> list[str]:
        """What a task's status was changed to."""
        return [status for changed, status in self.changes if changed == task]

    @staticmethod
    def _id(*parts: object) -> str:
        return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def types_of(name: str) -> tuple[str, str]:
    """Dataset type and format of a file's name, as Alyx finds them.  Raises :class:`ConflictError`, its 500."""
    from fnmatch import fnmatch

    kinds = [kind for kind, pattern in DATASET_TYPES if fnmatch(name.casefold(), pattern.casefold())]
    forms = [form for ending, form in FORMATS if name.endswith(ending)]
    if len(kinds) != 1 or not forms:
        raise ConflictError("DatasetType matching query does not exist.")
    return kinds[0], forms[0]


def now() -> str:
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")


def data_path(world: World, record: dict[str, Any], dataset: str) -> Path:
    """Where a file lies on the data server: with the dataset's id in its name."""
    relative = Path(world.repositories[record["data_repository"]]["globus_path"].strip("/"), record["relative_path"])
    return relative.with_name(f"{relative.stem}.{dataset}{relative.suffix}")
