"""ONE's parameter files: read by ONE itself, by nobody else, and what ONE wrote there stays."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

URL, CLIENT = "https://alyx.example.org:8000", "alyx.example.org_8000"
PASSWORD = "correct horse"  # noqa: S105  of no Alyx
TOKEN = {"lab": {"token": "0123456789"}}


def run(module: ModuleType, home: Path, check: bool = False, **given: Any) -> dict[str, Any]:
    parameters = {"ALYX_LOGIN": "lab", "ALYX_PWD": PASSWORD, "HTTP_DATA_SERVER": "http://data.example.org"}
    parameters |= {"HTTP_DATA_SERVER_LOGIN": None, "HTTP_DATA_SERVER_PWD": None, **given.pop("parameters", {})}
    params = {"home": str(home), "owner": "", "group": "", "url": URL, "cache_dir": "/data", "parameters": parameters}
    return dict(module.run({**params, **given}, check))


def read(home: Path, name: str = f".{CLIENT}") -> dict[str, Any]:
    return dict(json.loads((home / ".one" / name).read_text()))


def modes(home: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o7777) for path in [home / ".one", *(home / ".one").iterdir()]}


def test_written_once_and_closed(one_parameters: ModuleType, tmp_path: Path) -> None:
    assert run(one_parameters, tmp_path, check=True)["changed"] and not (tmp_path / ".one").exists()
    first = run(one_parameters, tmp_path)
    assert first["changed"] and len(first["files"]) == 2
    assert modes(tmp_path) == {".one": "0o700", ".caches": "0o600", f".{CLIENT}": "0o600"}
    assert read(tmp_path)["ALYX_PWD"] == PASSWORD and read(tmp_path)["HTTP_DATA_SERVER_PWD"] is None
    assert read(tmp_path, ".caches") == {"CLIENT_MAP": {CLIENT: "/data"}, "DEFAULT": CLIENT}
    for check in (True, False):
        assert run(one_parameters, tmp_path, check) == {"changed": False, "files": []}


def test_what_one_wrote_stays(one_parameters: ModuleType, tmp_path: Path) -> None:
    run(one_parameters, tmp_path)
    path = tmp_path / f".one/.{CLIENT}"
    path.write_text(json.dumps(read(tmp_path) | {"TOKEN": TOKEN, "SOMETHING": 1}))
    caches = read(tmp_path, ".caches")
    caches["CLIENT_MAP"]["openalyx.example.org"] = "/other"
    (tmp_path / ".one/.caches").write_text(json.dumps(caches | {"ELSE": 2}))
    assert not run(one_parameters, tmp_path)["changed"]
    assert run(one_parameters, tmp_path, parameters={"ALYX_PWD": "new"})["files"] == [str(path)]
    assert read(tmp_path)["TOKEN"] == TOKEN and read(tmp_path)["SOMETHING"] == 1
    assert run(one_parameters, tmp_path, cache_dir="/elsewhere", parameters={"ALYX_PWD": "new"})["changed"]
    assert read(tmp_path, ".caches") == {
        "CLIENT_MAP": {CLIENT: "/elsewhere", "openalyx.example.org": "/other"}, "DEFAULT": CLIENT, "ELSE": 2,
    }  # fmt: skip


@pytest.mark.parametrize("given", [
    {"parameters": {"ALYX_LOGIN": "other"}}, {"url": URL.replace("https", "http")},
])  # fmt: skip
def test_a_token_of_another_login_or_address_goes(one_parameters: ModuleType, tmp_path: Path, given: Any) -> None:
    run(one_parameters, tmp_path)
    path = tmp_path / f".one/.{CLIENT}"
    path.write_text(json.dumps(read(tmp_path) | {"TOKEN": TOKEN}))
    assert run(one_parameters, tmp_path, **given)["changed"]
    assert "TOKEN" not in read(tmp_path)


def test_an_address_with_a_slash_is_the_same(one_parameters: ModuleType, tmp_path: Path) -> None:
    run(one_parameters, tmp_path, url=URL + "/")
    assert not run(one_parameters, tmp_path)["changed"]
    (tmp_path / f".one/.{CLIENT}").write_text(json.dumps(read(tmp_path) | {"TOKEN": TOKEN, "ALYX_URL": URL + "/"}))
    run(one_parameters, tmp_path)
    assert read(tmp_path)["TOKEN"] == TOKEN


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"'])
def test_files_that_are_damaged_are_written_anew(one_parameters: ModuleType, tmp_path: Path, content: str) -> None:
    run(one_parameters, tmp_path)
    for name in (".caches", f".{CLIENT}"):
        (tmp_path / ".one" / name).write_text(content)
    assert run(one_parameters, tmp_path)["changed"]
    assert read(tmp_path)["ALYX_LOGIN"] == "lab"


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("before", [None, "open", "left"])
def test_nobody_else_can_read_it_at_any_moment(
    one_parameters: ModuleType, tmp_path: Path, umask: int, before: str | None
) -> None:
    """Looked at after each call of the system."""
    folder = tmp_path / ".one"
    if before:
        folder.mkdir()
        folder.chmod(0o777)
        (folder / f".{CLIENT}").write_text('{"TOKEN": "old"}')
    if before == "left":
        (folder / f".{CLIENT}.new").write_text("of one that died")
        (folder / f".{CLIENT}.new").chmod(0o666)
    looked = []

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_return" and folder.exists():
            looked.append(event)
            for path in folder.iterdir():
                if PASSWORD in path.read_text():
                    found = oct(folder.stat().st_mode & 0o7777), oct(path.stat().st_mode & 0o7777)
                    assert found == ("0o700", "0o600"), path

    old = os.umask(umask)
    sys.setprofile(look)
    try:
        run(one_parameters, tmp_path)
    finally:
        sys.setprofile(None)
        os.umask(old)
    assert len(looked) > 10
    assert set(modes(tmp_path)) == {".one", ".caches", f".{CLIENT}"}


def test_a_file_that_somebody_holds_open_learns_nothing(one_parameters: ModuleType, tmp_path: Path) -> None:
    """Members of the group may write into the home: they could have made the folder beforehand."""
    (tmp_path / ".one").mkdir(mode=0o777)
    for name in (".caches.new", f".{CLIENT}.new", f".{CLIENT}"):
        (tmp_path / ".one" / name).touch()
    held = [path.open() for path in (tmp_path / ".one").iterdir()]
    run(one_parameters, tmp_path)
    assert [file.read() for file in held] == ["", "", ""]
    assert read(tmp_path)["ALYX_PWD"] == PASSWORD


@pytest.mark.parametrize("what", ["link", "dangling", "file"])
def test_what_is_no_folder_is_refused(one_parameters: ModuleType, tmp_path: Path, what: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    if what == "file":
        (tmp_path / ".one").write_text("")
    else:
        (tmp_path / ".one").symlink_to("elsewhere" if what == "link" else "nowhere")
    for check in (True, False):
        with pytest.raises(OSError, match=r"\.one is no folder: .*remove it"):
            run(one_parameters, tmp_path, check)
    assert list((tmp_path / "elsewhere").iterdir()) == [] and not (tmp_path / "nowhere").exists()


def test_links_in_the_folder_are_not_followed(one_parameters: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".one").mkdir()
    (tmp_path / "precious").write_text("{}")
    for name in (f".{CLIENT}", f".{CLIENT}.new", ".caches"):
        (tmp_path / ".one" / name).symlink_to(tmp_path / "precious")
    run(one_parameters, tmp_path)
    assert (tmp_path / "precious").read_text() == "{}" and (tmp_path / "precious").stat().st_mode & 0o077
    assert not any(path.is_symlink() for path in (tmp_path / ".one").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root can give files away")
def test_the_service_owns_them_and_nobody_elses_folder_is_taken(one_parameters: ModuleType, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    owner = {"owner": "nobody", "group": "daemon"}
    run(one_parameters, tmp_path, **owner)
    for path in [tmp_path / ".one", *(tmp_path / ".one").iterdir()]:
        assert (path.stat().st_uid, path.group()) == (nobody.pw_uid, "daemon")
    os.chown(tmp_path / ".one", 1, 1)
    with pytest.raises(OSError, match=r"\.one belongs to daemon: .*remove it"):
        run(one_parameters, tmp_path, **owner)
    os.chown(tmp_path / ".one", 0, 0)
    assert run(one_parameters, tmp_path, **owner)["changed"], "made by root: by hand, or by an earlier run"


def test_one_itself_reads_them(one_parameters: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("one.params")
    run(one_parameters, tmp_path, cache_dir=str(tmp_path / "cache"), parameters={"HTTP_DATA_SERVER_PWD": PASSWORD})
    program = f"""
import json
from one import params
read = params.get(silent=True)
read = read.set("TOKEN", {TOKEN!r})
params.save(read, read.ALYX_URL)
print(json.dumps(params.get({URL!r}, silent=True).as_dict()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ, HOME=str(tmp_path)), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["ALYX_URL"], said["ALYX_LOGIN"], said["ALYX_PWD"]) == (URL, "lab", PASSWORD)
    assert said["CACHE_DIR"] == str(tmp_path / "cache")
    assert said["HTTP_DATA_SERVER_PWD"] == PASSWORD
    given = {"cache_dir": str(tmp_path / "cache"), "parameters": {"HTTP_DATA_SERVER_PWD": PASSWORD}}
    assert not run(one_parameters, tmp_path, **given)["changed"], "what ONE saved is as good"
    assert read(tmp_path)["TOKEN"] == TOKEN
