"""The one way of building an environment: ours only, whole or begun anew, and left alone when it is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def python(tmp_path: Path) -> str:
    """Makes environments as `python -m venv` does, but at once: without pip of their own."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nmkdir -p "$3/bin" && ln -s {sys._base_executable} "$3/bin/python"\n')
    path.chmod(0o755)
    return os.fspath(path)


def test_made_once_for_each_key(locked_venv: ModuleType, tmp_path: Path, python: str) -> None:
    folder = tmp_path / "an env"
    assert locked_venv.make(folder, python, [], "a", dry=True) == (True, "absent")
    assert not folder.exists()
    assert locked_venv.make(folder, python, [], "a") == (True, "built")
    assert locked_venv.make(folder, python, [], "a") == (False, "built")
    assert locked_venv.prove(folder)
    assert not locked_venv.prove(folder)
    assert locked_venv.make(folder, python, [], "a") == (False, "proven")
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to("/uninstalled/python3.7")
    assert locked_venv.make(folder, python, [], "a", dry=True) == (True, "absent"), "its interpreter is gone"
    assert locked_venv.make(folder, python, [], "b", dry=True) == (True, "absent"), "another lock"
    moved = folder.rename(tmp_path / "moved")
    assert locked_venv.make(moved, python, [], "a", dry=True) == (True, "absent"), "environments cannot be moved"


NEWER = "#!/bin/sh\necho 3.99\n"


def interpreter(folder: Path, script: str) -> None:
    """What bin/python leads to now."""
    (folder / "newer").write_text(script)
    (folder / "newer").chmod(0o755)
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to("../newer")


@pytest.mark.parametrize("script", [NEWER, "#!/bin/sh\nexit 127\n", "no program"])
@pytest.mark.parametrize("old_marker", [False, True])
def test_made_anew_for_another_interpreter(
    locked_venv: ModuleType, tmp_path: Path, python: str, script: str, old_marker: bool
) -> None:
    """As after an upgrade of the system: its packages lie where the new one does not look."""
    folder = tmp_path / "env"
    locked_venv.make(folder, python, [], "a")
    locked_venv.prove(folder)
    marker = locked_venv.read_marker(folder)
    assert marker["python"] == "{}.{}".format(*sys.version_info[:2]) and marker["state"] == "proven"
    if old_marker:
        (folder / f"lib/python{marker.pop('python')}/site-packages").mkdir(parents=True)
        locked_venv.write_marker(folder, **marker)
    assert locked_venv.make(folder, python, [], "a") == (False, "proven")
    interpreter(folder, script)
    assert locked_venv.make(folder, python, [], "a", dry=True) == (True, "absent")
    assert locked_venv.make(folder, python, [], "a") == (True, "built")
    assert locked_venv.make(folder, python, [], "a") == (False, "built")


def test_an_interrupted_one_is_begun_anew(locked_venv: ModuleType, tmp_path: Path, python: str) -> None:
    folder = tmp_path / "env"
    with pytest.raises(locked_venv.Refused, match="does-not-exist"):
        locked_venv.make(
            folder, python, [("a.lock", "does-not-exist==0 --hash=sha256:" + "0" * 64)], "a", ["--no-index"]
        )
    assert locked_venv.read_marker(folder)["state"] == "building"
    assert locked_venv.make(folder, python, [], "a") == (True, "built")


def test_a_requirement_without_hash_is_refused(locked_venv: ModuleType, tmp_path: Path, python: str) -> None:
    with pytest.raises(locked_venv.Refused, match="require-hashes"):
        locked_venv.make(tmp_path / "env", python, [("a.lock", "does-not-exist==1")], "a", ["--no-index"])


@pytest.mark.parametrize("marker", ['{"state": "adopted"}', "[]"])
def test_what_was_adopted_is_left_alone(locked_venv: ModuleType, tmp_path: Path, python: str, marker: str) -> None:
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("made by hand")
    (folder / ".iblvideo-admin.json").write_text(marker)
    for attempt in (lambda: locked_venv.make(folder, python, [], "a"), lambda: locked_venv.prove(folder)):
        with pytest.raises(locked_venv.Refused, match=r"path\.taken"):
            attempt()
    assert (folder / "pyvenv.cfg").read_text() == "made by hand"


def test_a_file_in_its_place_is_left_alone(locked_venv: ModuleType, tmp_path: Path, python: str) -> None:
    (tmp_path / "env").write_text("of somebody")
    with pytest.raises(locked_venv.Refused, match=r"path\.taken"):
        locked_venv.make(tmp_path / "env", python, [], "a")


def test_what_is_not_ours_is_left_alone(locked_venv: ModuleType, tmp_path: Path, python: str) -> None:
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("made by hand")
    with pytest.raises(locked_venv.Refused, match=r"path\.taken"):
        locked_venv.make(folder, python, [], "a")
    assert [path.name for path in folder.iterdir()] == ["pyvenv.cfg"]


def test_the_password_of_an_index_is_told_to_pip_alone(tmp_path: Path) -> None:
    """Ansible's `environment` would stand on the command line by which the module is started."""
    inner, python = tmp_path / "inner", tmp_path / "python"
    inner.write_text(f'#!/bin/sh\necho "$PIP_INDEX_URL $*" >> {tmp_path}/said\n')
    inner.chmod(0o755)
    python.write_text(f'#!/bin/sh\nmkdir -p "$3/bin" && ln -s {inner} "$3/bin/python"\n')
    python.chmod(0o755)
    index = "https://lab:s3cret-of-the-index@pypi.example.org/simple"
    given = {
        "path": str(tmp_path / "env"), "python": str(python), "index_url": index,
        "locks": [{"name": "a.lock", "text": "six==1.17.0\n"}],
    }  # fmt: skip
    command = [Path(sys.executable).parent / "ansible", "localhost", "-i", "localhost,", "-c", "local", "-vvvv"]
    done = subprocess.run(
        [sys.executable, *command, "-m", "locked_venv", "-a", json.dumps(given | {"index_url": "{{ index }}"}),
         "-e", json.dumps({"index": index, "ansible_python_interpreter": sys.executable})],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=False, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{index} -m pip install" in (tmp_path / "said").read_text()
    assert "s3cret" not in done.stdout + done.stderr
