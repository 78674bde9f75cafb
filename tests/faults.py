"""A lab whose commands go wrong at a chosen moment, and what must be true of it afterwards."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq
from lab import STAND_INS, Lab

from iblvideo_admin import settings
from iblvideo_admin.files import read_json
from iblvideo_admin.queue import repair
from iblvideo_admin.queue.job import job_folders
from iblvideo_admin.queue.lease import is_taken
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.outcome import read_result
from iblvideo_admin.sessions import Video
from iblvideo_admin.tracking import table

FRAMES = 3
KILLED = ("before", "after")
FAILING = {"fsync": "ENOSPC", "replace": "ENOSPC", "link": "ENOSPC", "mkdir": "ENOSPC", "commit": "ENOSPC"}
"""How a call fails, by its first word; a name can be removed also where the disk is full."""


@dataclass(frozen=True)
class Fault:
    """The process ``kind`` (of a job, where one is named) goes wrong ``at`` a point: see ``sitecustomize``."""

    kind: str
    at: str
    how: str
    job: str = ""


@dataclass(frozen=True)
class Point:
    """A moment at which a process changed the disk: ``at`` is its name and the how-manieth of that name it was."""

    kind: str
    job: str
    at: str

    @property
    def name(self) -> str:
        return self.at.partition("#")[0]

    def ways(self) -> tuple[str, ...]:
        """How it can go wrong here."""
        failing = FAILING.get(self.name.partition(" ")[0])
        return (*KILLED, failing) if failing else KILLED


class Faults:
    """Faults for the commands of a lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._folder = lab, lab.folder / "faults"

    def environment(self, *faults: Fault) -> dict[str, str]:
        """For the commands that are to go wrong; each fault happens once."""
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "marks").mkdir(parents=True)
        plan = {
            "folder": str(self._lab.folder),
            "points": str(self._folder / "points"),
            "marks": str(self._folder / "marks"),
            "faults": [asdict(fault) for fault in faults],
        }
        (self._folder / "plan").write_text(json.dumps(plan))
        first = f"{STAND_INS / 'faults'}:{self._lab.environment['PYTHONPATH']}"
        return {"PYTHONPATH": first, "FAULTS": str(self._folder / "plan")}

    def happened(self) -> int:
        return len(list((self._folder / "marks").iterdir()))

    def points(self, kind: str) -> list[Point]:
        """Those that a process of this kind passed, each once; a hint is written as often as time allows."""
        lines = (self._folder / "points").read_text().splitlines()
        found = dict.fromkeys(Point(*line.split("\t")) for line in lines)
        often = ("replace progress.json", "unlink file in removed folder")
        return [p for p in found if p.kind == kind and (p.name not in often or p.at.endswith("#1"))]


class Snapshot:
    """What a lab's folders held at one moment."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._kept = lab, lab.folder / "kept"
        for folder in self._folders():
            shutil.copytree(folder, self._kept / folder.name)

    def restore(self) -> None:
        for folder in self._folders():
            shutil.rmtree(folder, ignore_errors=True)
            if (self._kept / folder.name).exists():
                shutil.copytree(self._kept / folder.name, folder)
        for folder in ("locks", "scratch"):
            shutil.rmtree(self._lab.folder / folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        folders = [self._lab.subjects, self._lab.folder / "state"]
        return [folder for folder in folders if folder.exists() or (self._kept / folder.name).exists()]


# ---------------------------------------------------------------------------------------- what must be true


def old_or_new(video: Video, before: bytes | None) -> None:
    """At any moment: where a table was, a whole one is; a half one never is."""
    if before is None and not video.table.exists():
        return
    assert video.table.exists(), "the table is gone"
    assert pq.read_table(video.table).num_rows == FRAMES, "half a table"
    if before is not None and video.table.read_bytes() != before:
        assert before in [path.read_bytes() for path in replaced(video)], "the old table is nowhere"


def replaced(video: Video) -> list[Path]:
    """The old tables that were kept."""
    return sorted((video.work / "replaced").glob("*/*.pqt"))


def leftovers(lab: Lab) -> list[str]:
    """Temporary files, folders set aside, and empty folders for what was to be kept."""
    found: list[Path] = []
    for work in lab.subjects.glob("*/*/*/alf/.iblvideo-admin"):
        found += [path for path in work.iterdir() if path.is_file() and not path.name.endswith(".provenance.json")]
        found += [path for path in work.glob("replaced/*") if not list(path.glob("*.pqt"))]
    found += (lab.folder / "state").rglob("*.tmp")
    found += (lab.folder / "state").glob("jobs/.removed-*")
    found += (lab.folder / "state").glob(".locks-*")
    return [str(path.relative_to(lab.folder)) for path in found]


def locks_held(lab: Lab) -> list[str]:
    state = lab.folder / "state"
    locks = [*state.glob("jobs/*/lock"), *state.glob("workers/*"), *(lab.folder / "locks").glob("*")]
    return [str(path.relative_to(lab.folder)) for path in locks if is_taken(path)]


def repaired(lab: Lab) -> list[str]:
    """What a repair changes now."""
    ledger, changes = repair.open_repaired(settings.load(lab.environment))
    ledger.close()
    return [str(change) for change in changes]


def healed(lab: Lab, video: Video, before: bytes | None) -> None:
    """Each video has one Complete job and one whole table, and nothing is left of the fault."""
    old_or_new(video, before)
    with Ledger(lab.folder / "state") as ledger:
        jobs = [job for job in ledger.jobs() if job.video == str(video.path)]
        assert [job.state.status for job in jobs] == ["Complete"]
        (job,) = jobs
        paths = ledger.paths(job.id)
        folders = [n for n, p in job_folders(ledger.state_dir).items() if p.read_request().video == str(video.path)]
        if job.pruned is None:
            result, provenance = read_result(paths), table.provenance_of(video.table)
            assert folders == [job.id]
            assert result is not None and result.status == "Complete"
            assert provenance is not None
            if "a table was there already" not in " ".join(result.warnings):
                heard = provenance["job"]["token"] == paths.read_request().token
                assert heard or video.table.read_bytes() == before, "another wish's table"
        else:
            assert folders == []
    copy = read_json(video.provenance)
    assert copy is not None and copy["table"]["sha256"] == table.sha256_of(video), "the readable copy is another's"
    assert leftovers(lab) == []
    assert locks_held(lab) == []
    assert repaired(lab) == []
