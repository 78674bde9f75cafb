"""What we rely on in Alyx: held against the stand-in, and against a real one.

``IBLVIDEO_ADMIN_TEST_ALYX`` names a real one to be used instead of the stand-in: its address, with a user of it as in
``http://user:password@alyx.example.org`` (without one, ONE's parameters of whoever runs the tests are used).  It must
be one for tests: tasks are claimed and set to Waiting again, and a dataset is registered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from alyx_life import work
from stand_ins.alyx import Server

from iblvideo_admin import settings as reading
from iblvideo_admin.alyx import registering, session_rows, taking, words
from iblvideo_admin.alyx.book import Book
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.drain import Drain
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video
from iblvideo_admin.settings import Settings

REAL = os.environ.get("IBLVIDEO_ADMIN_TEST_ALYX", "")


@dataclass
class Place:
    """An Alyx with a Waiting DLC task, and how we are set up for it."""

    client: Client
    settings: Settings
    row: dict[str, Any]

    @property
    def session(self) -> str:
        return str(self.row["session"])


def parameters(folder: Path, url: str, login: str, password: str) -> None:
    """As the role ``one`` writes them."""
    folder.mkdir(parents=True)
    client = url.split("://")[1].replace(":", "_")
    content = {"ALYX_URL": url, "ALYX_LOGIN": login, "ALYX_PWD": password, "HTTP_DATA_SERVER": url,
               "HTTP_DATA_SERVER_LOGIN": None, "HTTP_DATA_SERVER_PWD": None}  # fmt: skip
    (folder / ".caches").write_text(json.dumps({"CLIENT_MAP": {client: str(folder)}, "DEFAULT": client}))
    (folder / f".{client}").write_text(json.dumps(content))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Iterator[Place]:
    url, login, password = server.url, "dlc_server", server.world.users["dlc_server"]
    if REAL:
        split = urlsplit(REAL.rstrip("/"))
        url = f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
        login, password = split.username or "", split.password or ""
    else:
        for number in range(1, 4):
            server.world.pipeline(server.world.session(number=number), cameras=("left", "body")[: number % 2 + 1])
    if login:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        parameters(tmp_path / "home/.one", url, login, password)
    environment = {
        "IBLVIDEO_ADMIN_CONFIG": str(tmp_path / "none.toml"),
        "IBLVIDEO_ADMIN_ALYX_URL": url,
        "IBLVIDEO_ADMIN_STATE_DIR": str(tmp_path / "state"),
        "IBLVIDEO_ADMIN_SUBJECTS_DIR": str(tmp_path / "Subjects"),
        "IBLVIDEO_ADMIN_LOCK_DIR": str(tmp_path / "locks"),
        "IBLVIDEO_ADMIN_ALYX_EVERY_S": "0.1",
        "IBLVIDEO_ADMIN_ALYX_LIMIT_S": "30" if REAL else "5",
    }
    (tmp_path / "none.toml").touch()
    rows = Client(reading.load(environment)).list("tasks", status="Waiting")
    rows = [row for row in rows if row.get("name") in taking.NAMES and row.get("data_repository")]
    if not rows:
        pytest.skip(f"SKIPPED: {url} has no Waiting DLC task of a data repository")
    environment["IBLVIDEO_ADMIN_DATA_REPOSITORY"] = rows[0]["data_repository"]
    loaded = reading.load(environment)
    client = Client(loaded)
    yield Place(client, loaded, rows[0])
    if client.read("tasks", rows[0]["id"])["status"] != "Waiting":
        client.patch("tasks", rows[0]["id"], status="Waiting", log="put back by a test")


def refused(place: Place, **fields: Any) -> TroubleError:
    with pytest.raises(TroubleError) as error:
        place.client.patch("tasks", place.row["id"], **fields)
    return error.value


def test_a_wrong_password_and_a_login(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.client.user()
    parameters(tmp_path / "other/.one", place.client.url, "nobody-of-this-name", "wrong")
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    with pytest.raises(TroubleError) as error:
        Client(place.settings).list("tasks")
    assert error.value.kind == "login"


def test_filters_and_their_traps(place: Place) -> None:
    everything = {row["id"] for row in place.client.list("tasks")}
    waiting = {row["id"] for row in place.client.list("tasks", status="waiting")}
    ours = {row["id"] for row in taking.waiting(place.client)}
    assert place.row["id"] in ours <= waiting <= everything
    name = place.row["name"]
    assert place.row["id"] not in {row["id"] for row in place.client.list("tasks", django=f"name__in,{name}")}
    assert place.row["id"] in {row["id"] for row in place.client.list("tasks", django=f"name__in,['{name}']")}
    assert {row["id"] for row in place.client.list("tasks", statos="Waiting")} == everything
    for wrong in ("name", "no_such_field,1"):
        with pytest.raises(TroubleError) as error:
            place.client.list("tasks", django=wrong)
        assert error.value.kind == "broken"


def test_pages(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from iblvideo_admin.alyx import client

    whole = {row["id"] for row in place.client.list("tasks", session=place.session)}
    monkeypatch.setattr(client, "_MOST_ON_A_PAGE", 1)
    assert {row["id"] for row in place.client.list("tasks", session=place.session)} == whole


def test_what_a_patch_takes(place: Place) -> None:
    before = place.client.read("tasks", place.row["id"])
    assert refused(place, status="waiting").kind == "refused"
    assert refused(place, version="x" * 65).kind == "refused"
    assert refused(place, log="a\0b").kind == "refused"
    after = place.client.patch("tasks", place.row["id"], log="a test was here", no_such_field=7)
    assert after.keys() == before.keys() and after["status"] == "Waiting" and after["log"] == "a test was here"


def test_what_is_not_there(place: Place) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for endpoint in ("tasks", "sessions", "datasets"):
        with pytest.raises(TroubleError) as error:
            place.client.read(endpoint, nobody)
        assert error.value.kind == "refused"


def test_a_session_has_a_place(place: Place) -> None:
    session = session_rows.read(place.client, place.session)
    assert session.id == place.session
    assert session.folder(Path("/s")) == Path("/s") / session.subject / session.date / f"{session.number:03d}"


def test_a_claim_and_its_mark(place: Place, tmp_path: Path) -> None:
    with Ledger(tmp_path / "state") as ledger:
        book = Book(ledger, "here")
        assert taking.parents_done(place.client, place.row)
        task = taking.claim(book, place.client, place.row)
        assert task is not None and task.phase == "preparing"
        now = place.client.read("tasks", task.id)
        assert (now["status"], now["log"], now["version"]) == ("Started", words.claim(task.nonce), words.version())
        assert place.row["id"] in {row["id"] for row in taking.started(place.client)}
        place.client.patch("tasks", task.id, log="another server's")
        assert taking.confirm(book, place.client, task) is None


def test_nothing_is_protected_that_is_not_registered(place: Place) -> None:
    session = session_rows.read(place.client, place.session).folder(place.settings.subjects_dir)
    assert place.client.protected(session / "alf/_ibl_rightCamera.dlc.pqt") in (False, True)
    assert not place.client.protected(session / "alf/#2001-01-01#/_ibl_rightCamera.dlc.pqt")


def test_a_whole_life(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claimed, grouped, tracked by a stand-in, registered once, ended, its child set free; and registered once more."""
    session = session_rows.read(place.client, place.session)
    folder = session.folder(place.settings.subjects_dir)
    cameras = [name for name in (place.row.get("arguments") or {}).get("cameras") or ["left"] if name in CAMERAS]
    for name in cameras:
        path = Video(folder, CAMERAS[name]).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a video")
    drain = Drain(place.settings)
    others = [row for row in taking.waiting(place.client) if row["id"] != place.row["id"]]
    may_take = drain._may_take
    monkeypatch.setattr(drain, "_may_take", lambda book, row: row["id"] == place.row["id"] and may_take(book, row))
    rows = place.client.list("tasks", session=place.session)
    children = [row for row in rows if place.row["id"] in str(row["parents"])]
    with Ledger(place.settings.state_dir) as ledger:
        for _ in range(20):
            drain.turn(ledger)
            work(ledger, (), place.settings)
            book = Book(ledger, drain.place)
            if drain.is_over(ledger) and not book.waiting() and not ledger.numbers("Waiting"):
                break
        drain.close()
        assert [letter.outcome for letter in book.letters(place.row["id"])] == ["done"] * (len(cameras) + 2)
    now = place.client.read("tasks", place.row["id"])
    assert (now["status"], now["version"]) == ("Complete", words.version()) and now["time_elapsed_secs"] > 0
    for name in cameras:
        table = Video(folder, CAMERAS[name]).table
        (row,) = registering.datasets(place.client, place.session, table.name)
        assert (row["dataset_type"], row["hash"]) == ("camera.dlc", registering.md5_of(table))
        ours = [r for r in row["file_records"] if r["data_repository"] == place.settings.data_repository]
        assert [record["exists"] for record in ours] == [True]
    for child in children:
        was, status = child["status"], place.client.read("tasks", child["id"])["status"]
        assert status == ("Waiting" if was == "Held" else was)
        place.client.patch("tasks", child["id"], status=was)
    assert {row["id"] for row in others} <= {row["id"] for row in taking.waiting(place.client)}
