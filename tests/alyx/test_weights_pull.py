"""``weights pull``: from each place, resumed, trusted once and then held to it, and never in use by itself."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from alyx_lab import AlyxLab
from lab import make_weights
from stand_ins.alyx.server import S3_KEY

from iblvideo_admin.alyx import weights_pull
from iblvideo_admin.errors import UserError

NAME = "resources/dlc/weights_v2.2.zip"


@pytest.fixture
def archive(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On the data server and in the bucket; the lab uses another version."""
    for name, value in alyx_lab.environment.items():
        monkeypatch.setenv(name, value)
    root = alyx_lab.folder / "weights"
    root.mkdir()
    shutil.move(alyx_lab.weights, root / "weights_v2.1")
    (root / "current").symlink_to("weights_v2.1")
    alyx_lab.environment["IBLVIDEO_ADMIN_WEIGHTS_DIR"] = str(root / "current")
    path = alyx_lab.server.data / NAME
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as file:
        made = make_weights(alyx_lab.folder / "made")
        for one in sorted(made.rglob("*")):
            file.write(one, f"weights_v2.2/{one.relative_to(made)}")
    alyx_lab.world.repository("aws_cortexlab", "/", personal=False)
    alyx_lab.world.repositories["aws_cortexlab"]["json"] = {
        "bucket_name": "bucket", "Access key ID": S3_KEY, "Secret access key": "x", "region_name": "us-east-1",
    }  # fmt: skip
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", alyx_lab.server.data_url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("place", ["auto", "s3", "http", "folder", "mirror", "file", "address"])
def test_from_each_place(alyx_lab: AlyxLab, archive: Path, place: str) -> None:
    mirror = alyx_lab.folder / "mirror"
    (mirror / "weights").mkdir(parents=True)
    shutil.copy(archive, mirror / "weights")
    places = {"folder": str(archive.parent), "mirror": str(mirror), "file": str(archive)}
    places["address"] = f"{alyx_lab.server.data_url}/{NAME}"
    if place == "address":
        alyx_lab.server.data_login = None
    told = weights_pull.pull("2.2", alyx_lab.settings(), place=places.get(place, place))
    assert told["changed"] and told["trusted"] and not told["in_use"] and not told["problem"]
    assert told["archive_sha256"] == sha256_of(archive)
    expected = {"auto": f"s3://bucket/{NAME}", "s3": f"s3://bucket/{NAME}"}
    assert told["source"] == expected.get(place, told["source"])
    again = weights_pull.pull("v2.2", alyx_lab.settings())
    assert not again["changed"] and not again["trusted"] and again["source"] is None
    root = alyx_lab.folder / "weights"
    assert sorted(path.name for path in root.iterdir()) == [".known.json", "current", "weights_v2.1", "weights_v2.2"]


def test_where_s3_fails_the_http_server_is_asked(alyx_lab: AlyxLab, archive: Path) -> None:
    alyx_lab.world.repositories["aws_cortexlab"]["json"] = None
    told = weights_pull.pull("2.2", alyx_lab.settings())
    assert told["source"] == f"{alyx_lab.server.data_url}/{NAME}" and told["tried"][0].startswith("s3: ")
    assert archive.exists()


def test_where_nobody_has_it_each_place_is_told(alyx_lab: AlyxLab, archive: Path) -> None:
    with pytest.raises(UserError) as error:
        weights_pull.pull("9.9", alyx_lab.settings())
    assert "s3: " in error.value.message and "http: " in error.value.message and archive.exists()
    assert not list((alyx_lab.folder / "weights").glob(".weights*"))


@pytest.mark.parametrize("version", ["2.2.1", "", "latest", "2", "2.2 ", "../2.2"])
def test_a_version_has_two_numbers(alyx_lab: AlyxLab, archive: Path, version: str) -> None:
    with pytest.raises(UserError) as error:
        weights_pull.pull(version, alyx_lab.settings())
    assert error.value.code == "usage" and "2.2" in error.value.remedy and archive.exists()


def test_the_first_archive_is_the_only_one_from_then_on(alyx_lab: AlyxLab, archive: Path) -> None:
    first = weights_pull.pull("2.2", alyx_lab.settings(), place="http")["archive_sha256"]
    shutil.rmtree(alyx_lab.folder / "weights/weights_v2.2")
    whole = archive.read_bytes()
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("weights_v2.2/more", "x")
    with pytest.raises(UserError) as error:
        weights_pull.pull("2.2", alyx_lab.settings(), place="http")
    assert error.value.code == "weights.damaged" and first in error.value.message
    assert not (alyx_lab.folder / "weights/weights_v2.2").exists()
    archive.write_bytes(whole)
    told = weights_pull.pull("2.2", alyx_lab.settings(), place="http")
    assert told["changed"] and not told["trusted"]


def test_a_checksum_that_was_given(alyx_lab: AlyxLab, archive: Path) -> None:
    for wrong, code in (("0" * 64, "weights.damaged"), ("xyz", "usage")):
        with pytest.raises(UserError) as error:
            weights_pull.pull("2.2", alyx_lab.settings(), sha256=wrong)
        assert error.value.code == code
    told = weights_pull.pull("2.2", alyx_lab.settings(), sha256=sha256_of(archive))
    assert told["changed"] and not told["trusted"]
    with pytest.raises(UserError) as error:
        weights_pull.pull("2.2", alyx_lab.settings(), sha256="0" * 64)
    assert error.value.code == "weights.damaged"


def test_a_download_that_broke_off_is_resumed(alyx_lab: AlyxLab, archive: Path) -> None:
    alyx_lab.server.data_faults.add("cut", after=True)
    for place in ("http", "s3"):
        if place == "s3":
            shutil.rmtree(alyx_lab.folder / "weights/weights_v2.2")
            alyx_lab.server.data_faults.add("cut", "GET", after=True)
        with pytest.raises(UserError) as error:
            weights_pull.pull("2.2", alyx_lab.settings(), place=place)
        assert error.value.code == "alyx.not_reachable"
        alyx_lab.server.ranges.clear()
        assert weights_pull.pull("2.2", alyx_lab.settings(), place=place)["changed"]
        assert any(given.startswith("bytes=") and given != "bytes=0-" for given in alyx_lab.server.ranges), place
    assert archive.exists()


@pytest.mark.full
def test_a_new_version_changes_nothing_by_itself(alyx_lab: AlyxLab, archive: Path) -> None:
    video = alyx_lab.video()
    alyx_lab.json("process", video.session)
    before = video.table.read_bytes()
    assert alyx_lab.json("weights", "pull", "2.2", "--from", str(archive), "--use")["data"]["in_use"]
    root = alyx_lab.folder / "weights"
    assert ((root / "current").readlink(), (root / "previous").readlink()) == (
        Path("weights_v2.2"),
        Path("weights_v2.1"),
    )
    assert alyx_lab.json("process", video.session)["data"]["jobs"] == []
    assert video.table.read_bytes() == before
    listed = alyx_lab.json("weights", "list")["data"]
    assert listed["in_use"] == "weights_v2.2"
    assert [tree["name"] for tree in listed["versions"]] == ["weights_v2.1", "weights_v2.2"]


def test_the_command_says_what_it_trusted(alyx_lab: AlyxLab, archive: Path) -> None:
    done = alyx_lab.run("weights", "pull", "2.2", "--from", str(archive))
    assert done.returncode == 0 and f"weights_sha256={sha256_of(archive)}" in done.stdout
    verified = alyx_lab.json("weights", "verify")
    assert verified["exit_code"] == 0
    next((alyx_lab.folder / "weights/weights_v2.2").rglob("snapshot-5.index")).write_bytes(b"x")
    verified = alyx_lab.json("weights", "verify")
    assert (verified["exit_code"], verified["errors"][0]["code"]) == (1, "weights.damaged")
    known = json.loads((alyx_lab.folder / "weights/.known.json").read_text())
    assert known == {"weights_v2.2": sha256_of(archive)}


def test_no_login_leaves_for_another_host(alyx_lab: AlyxLab, archive: Path) -> None:
    with pytest.raises(UserError) as error:
        weights_pull.pull("2.2", alyx_lab.settings(), place=f"{alyx_lab.server.data_url}/{NAME}")
    assert error.value.code == "alyx.login" and archive.exists()


def test_without_rights(alyx_lab: AlyxLab, archive: Path) -> None:
    root = alyx_lab.folder / "weights"
    shutil.rmtree(root)
    root.write_text("a file")
    with pytest.raises(UserError) as error:
        weights_pull.pull("2.2", alyx_lab.settings(), place=str(archive))
    assert error.value.code == "weights.not_writable"
