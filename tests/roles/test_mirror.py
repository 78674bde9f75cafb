"""What servers get from a mirror folder, and what goes into one; tried on this machine, in one folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from stand_ins.provision import python_source

Play = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "demo/inventory"
WHEELS = "wheels/cli.lock"


class Mirror:
    """A mirror folder and the server's, and plays between them."""

    def __init__(self, play: Play, folder: Path) -> None:
        self._play, self.folder = play, folder
        self.source, self.prefix = folder / "a mirror", folder / "server"
        self.carried = self.prefix / "mirror" / WHEELS

    def holds(self, **files: str) -> None:
        """Made anew: these files are its wheels."""
        shutil.rmtree(self.source, ignore_errors=True)
        (self.source / WHEELS).mkdir(parents=True)
        for name, text in files.items():
            (self.source / WHEELS / f"{name}.whl").write_text(text)
        self.list()

    def list(self) -> None:
        manifest = ROOT / "roles/mirror/files/manifest.py"
        subprocess.run([sys.executable, str(manifest), str(self.source)], check=True)

    def run(self, *tasks: dict[str, Any], fails: bool = False, **variables: Any) -> str:
        """What these tasks said, in one line."""
        play = {
            "hosts": "iblvideo_servers",
            "gather_facts": True,
            "gather_subset": ["min"],
            "environment": {"PATH": f"{self.folder}/bin:/usr/bin:/bin"},
            "pre_tasks": [role("base", "toolchain")],
            "roles": [{"role": name, "tags": ["never"]} for name in ("cuda", "python", "dlc", "weights")],
            "tasks": list(tasks),
        }
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play]))
        given = {"mirror_dir": str(self.source), "demo_folder": str(self.prefix), **variables}
        done = self._play(str(path), inventory=INVENTORY, **given)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def carry(self, **given: Any) -> int:
        """How many tasks changed something."""
        said = self.run(role("base", "carry", base_carry=WHEELS), **given)
        return int(re.findall(r"\bchanged=(\d+)", said)[-1])

    def there(self) -> dict[str, str]:
        return {path.stem: path.read_text() for path in self.carried.glob("*.whl")}


def role(name: str, tasks: str, **variables: Any) -> dict[str, Any]:
    return {"ansible.builtin.import_role": {"name": name, "tasks_from": tasks}, "vars": variables}


def shown(**values: str) -> dict[str, Any]:
    words = " ".join(f"{name}={{{{ {value} }}}}" for name, value in values.items())
    # the magic variable, which is there in a role only
    return {"ansible.builtin.debug": {"msg": words}, "vars": {"role_path": str(ROOT / "roles/base")}}


@pytest.fixture
def mirror(play: Play, tmp_path: Path) -> Mirror:
    return Mirror(play, tmp_path)


@pytest.fixture
def as_root() -> None:
    """What is carried belongs to root."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: only root can give files to root")


@pytest.mark.usefixtures("as_root")
def test_a_new_mirror_replaces_what_was_carried(mirror: Mirror) -> None:
    mirror.holds(six="1", numpy="1")
    assert mirror.carry() > 0 and mirror.there() == {"six": "1", "numpy": "1"}
    assert mirror.carry() == 0
    mirror.holds(six="2", pandas="1")
    assert mirror.carry() > 0 and mirror.there() == {"six": "2", "pandas": "1"}
    assert mirror.carry() == 0
    assert [path.name for path in (mirror.prefix / "mirror").iterdir()] == ["wheels"]


@pytest.mark.full
@pytest.mark.usefixtures("as_root")
def test_where_a_carry_was_interrupted(mirror: Mirror) -> None:
    """The earlier folder was out of the way already, the new one not yet there."""
    mirror.holds(six="1")
    arriving = mirror.prefix / "mirror/.iblvideo-arriving"
    (arriving / "earlier").mkdir(parents=True)
    (arriving / WHEELS).mkdir(parents=True)
    assert mirror.carry() > 0 and mirror.there() == {"six": "1"}
    assert not arriving.exists()


@pytest.mark.full
def test_a_folder_that_nobody_carried_is_named(mirror: Mirror) -> None:
    mirror.holds(six="1")
    mirror.carried.mkdir(parents=True)
    (mirror.carried / "theirs.whl").write_text("x")
    said = mirror.run(role("base", "carry", base_carry=WHEELS), fails=True)
    assert f"path.taken: {mirror.carried} exists and does not say that iblvideo-admin brought it" in said
    assert mirror.there() == {"theirs": "x"}
    said = mirror.run(role("base", "carry", base_carry="wheels/other.lock"), fails=True)
    assert f"mirror_dir is {mirror.source}, which has no wheels/other.lock: make it with" in said


@pytest.mark.full
@pytest.mark.usefixtures("as_root")
def test_an_environment_that_was_only_begun_needs_its_wheels(mirror: Mirror) -> None:
    """Its wheels may have been wrong: then a better mirror must arrive."""
    mirror.holds(six="1")
    environment = mirror.prefix / "cli/1"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").touch()
    bring = role("base", "wheels", base_wheels="cli.lock", base_wheels_for=str(environment))
    (environment / ".iblvideo-admin.json").write_text('{\n "state": "built"\n}\n')
    mirror.run(bring)
    assert not mirror.carried.exists()
    (environment / ".iblvideo-admin.json").write_text('{\n "state": "building"\n}\n')
    mirror.run(bring)
    assert mirror.there() == {"six": "1"}


def apt(folder: Path, says: str = "", code: int = 0) -> None:
    """An apt-get that installs nothing."""
    (folder / "bin").mkdir()
    (folder / "bin/apt-get").write_text(
        f'#!/bin/sh\necho "$@" >>"{folder}/asked"\ncase "$*" in *" install "*) echo "{says}" >&2; exit {code};; esac\n'
    )
    (folder / "bin/apt-get").chmod(0o755)


def test_a_folder_on_the_server_is_only_read(mirror: Mirror) -> None:
    """It may be a share, which is read-only and everybody's."""
    apt(mirror.folder, "E: Unable to locate package gcc.", 100)
    packages = mirror.source / "packages"
    mirror.holds()
    before = sorted(mirror.source.rglob("*"))
    facts = shown(packages="_base_mirror_packages")
    said = mirror.run(role("base", "names"), facts, role("base", "preflight"), fails=True, mirror_on_host=True,
                      mirror_dir="/nowhere")  # fmt: skip
    (packages / re.findall(r"packages=packages/(\S+?)\"?\s", said)[0]).mkdir(parents=True)
    before = sorted(mirror.folder.glob("*")) + sorted(mirror.source.rglob("*"))
    mirror.source.chmod(0o555)
    install = role("base", "apt", base_apt=["gcc"])
    said = mirror.run(install, fails=True, mirror_on_host=True)
    assert f"gcc could not be installed from mirror_dir ({mirror.source}): E: Unable to locate package gcc. If" in said
    assert "with that package in mirror_packages" in said
    after = sorted(mirror.folder.glob("*")) + sorted(mirror.source.rglob("*"))
    assert {path.name for path in set(after) - set(before)} <= {"server", "asked"}
    assert f"deb [trusted=yes] file:{packages}/" in (mirror.prefix / "mirror.list").read_text()
    assert f"-oDir::Etc::SourceList={mirror.prefix}/mirror.list" in (mirror.folder / "asked").read_text()


def test_an_archive_that_the_folder_lacks(mirror: Mirror) -> None:
    """Another address would not be asked, so it is not offered."""
    mirror.holds()
    fetch = {"what": "cuDNN 7", "file": "x.tgz", "url": "https://x", "sha256": "0" * 64, "variable": "cudnn_url"}
    said = mirror.run(role("base", "download", base_fetch=fetch), fails=True)
    assert f"cuDNN 7 could not be fetched from {mirror.source}/archives/x.tgz" in said
    assert "mirror_archives names (cuda and cudnn, for its cuda_versions; python)." in said and "cudnn_url" not in said


@pytest.mark.parametrize("built", [True, False], ids=["built", "by hand"])
def test_the_python_of_the_reference_toolchain(mirror: Mirror, built: bool) -> None:
    python = (mirror.prefix / "python3.7" if built else mirror.folder / "theirs") / "bin/python3.7"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho 3.7\necho "{python}"\n')
    python.chmod(0o755)
    facts = shown(archives="_mirror_files | map(attribute='file') | list", packages="_mirror_packages")
    given = {"toolchain": "dlc-tf1-cuda10.0", "mirror_dir": "", "mirror_packages": ["nvidia-driver-470"]}
    named = {} if built else {"python37_executable": str(python)}
    said = mirror.run(role("mirror", "python"), facts, **given, **named)
    assert ("Python-3.7.17.tar.xz" in said) == ("build-essential" in said) == built
    assert "cuda_10.0" in said and "python3-apt" in said and "nvidia-driver-470" in said
    wanted = "these roles neither built it nor know a package of it"
    assert (wanted in said) == (f"{python} is this server" in said) == (not built)
    if not built:
        given["mirror_archives"] = ["python"]
        said = mirror.run(role("mirror", "python"), facts, **given, **named)
        assert "Python-3.7.17.tar.xz" in said and "build-essential" in said and wanted not in said


@pytest.mark.full
def test_a_python_that_is_built_says_so(mirror: Mirror) -> None:
    """Only where nothing was before: uninstall.yml takes away the whole folder."""
    apt(mirror.folder)
    archive = python_source.make(mirror.source / "archives", target=sys.executable)
    mirror.list()
    (mirror.source / "packages").mkdir()
    given = {
        "mirror_on_host": True,
        "python37_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "python37_build_packages": ["gcc"],
        "_base_mirror_packages": "packages",
    }
    (mirror.prefix / "downloads/Python-3.7.17").mkdir(parents=True)
    mirror.run(role("python", "source"), **given)
    assert (mirror.prefix / "python3.7/bin/python3.7").exists()
    assert (mirror.prefix / "python3.7/.iblvideo-admin.json").read_text() == '{"python": "3.7.17"}'
    assert [path.name for path in (mirror.prefix / "downloads").iterdir()] == ["Python-3.7.17"], (
        "which was there before"
    )

    (mirror.folder / "local/bin").mkdir(parents=True)
    mirror.run(role("python", "source"), python37_prefix=str(mirror.folder / "local"), **given)
    assert (mirror.folder / "local/bin/python3.7").exists()
    assert not (mirror.folder / "local/.iblvideo-admin.json").exists()

    archive.unlink()
    said = mirror.run(role("python", "source"), fails=True, **given)
    assert "Make the mirror folder anew with python in mirror_archives (beside cuda and cudnn), or build one by" in said


ADDRESS = "https://example.invalid/resources/weights_v2.1.zip"


def test_weights_of_a_mirror_on_the_server(mirror: Mirror, weights: Path) -> None:
    (mirror.source / "weights").mkdir(parents=True)
    archive = mirror.source / "weights/weights_v2.1.zip"
    given = {"mirror_on_host": True, "weights_source": ADDRESS, "weights_name": "weights_v2.1"}
    given["weights_download_dir"] = str(mirror.folder / "downloads")
    install = {"ansible.builtin.import_role": {"name": "weights"}}
    said = mirror.run(install, fails=True, **given)
    assert f"{archive} does not exist. mirror_dir is {mirror.source}, on the server: make it anew" in said
    with zipfile.ZipFile(archive, "w") as file:
        for path in weights.rglob("*"):
            file.write(path, path.relative_to(weights))
    mirror.run(install, **given)
    assert (mirror.prefix / "weights/current/roi_detect-a").is_dir() and archive.exists()
    assert not (mirror.folder / "downloads").exists()


def test_where_weights_are_read(play: Play, tmp_path: Path) -> None:
    """On servers that are reached over the network: nothing is asked of them here."""
    share, here = "/srv/mirror/weights/weights_v2.1.zip", "/srv/x.zip"
    wanted: dict[str, tuple[dict[str, Any], str]] = {
        "share": ({"mirror_on_host": True}, f"src={share} at=share travel=False"),
        "own": ({"mirror_on_host": True, "weights_source": here}, f"src={here} at=localhost travel=True"),
        "there": ({"weights_on_host": True, "weights_source": here}, f"src={here} at=there travel=False"),
        "both": ({"weights_on_host": True}, "weights_v2.1.zip at=localhost travel=True"),
        "usual": ({}, "weights_v2.1.zip at=localhost travel=True"),
    }
    look = {
        "hosts": "all",
        "gather_facts": False,
        "roles": [{"role": "weights", "tags": ["never"]}],
        "tasks": [shown(src="_weights_src", at="_weights_at", travel="_weights_travel")],
    }
    (tmp_path / "look.yml").write_text(yaml.safe_dump([look]))
    common = {
        "mirror_dir": "/srv/mirror",
        "mirror_on_host": False,
        "weights_source": ADDRESS,
        "iblvideo_prefix": "/opt",
    }
    hosts = {name: common | given | {"ansible_connection": "ssh"} for name, (given, _) in wanted.items()}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    done = play(str(tmp_path / "look.yml"), inventory=tmp_path / "inventory.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    for _, words in wanted.values():
        assert words in said
    assert said.count(share) == 1
