"""The finder believes only what really runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FINDER = Path(__file__).resolve().parents[2] / "roles/python/files/find_python37.py"
WORKS = '#!/bin/sh\nprintf "3.7\\n%s\\n" "$0"\n'
OTHER = '#!/bin/sh\nprintf "3.8\\n%s\\n" "$0"\n'
SHIM = "#!/bin/sh\necho 'pyenv: python3.7: command not found' >&2\nexit 127\n"
NO_SSL = "#!/bin/sh\necho \"ModuleNotFoundError: No module named '_ssl'\" >&2\nexit 1\n"


def put(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


def find(home: Path, *folders: Path, arguments: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
    env = {"HOME": str(home), "PATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, str(FINDER), "--json", *arguments]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout)


def test_broken_shims_and_other_versions_are_passed_over(tmp_path: Path) -> None:
    shims = put(tmp_path / "pyenv/shims/python3.7", SHIM).parent
    other = put(tmp_path / "other/python3.7", OTHER).parent
    crippled = put(tmp_path / "crippled/python3.7", NO_SSL).parent
    good = put(tmp_path / "with space/python3.7", WORKS)
    status, found = find(tmp_path, shims, other, crippled, good.parent)
    assert (status, found["python"]) == (0, str(good))
    assert [path for path, _ in found["rejected"]] == [str(p / "python3.7") for p in (shims, other, crippled)]
    assert "command not found" in found["rejected"][0][1]


def test_the_versions_behind_shims_are_found(tmp_path: Path) -> None:
    shims = put(tmp_path / "pyenv/shims/python3.7", SHIM).parent
    real = put(tmp_path / "pyenv/versions/3.7.16/bin/python3.7", WORKS)
    assert find(tmp_path / "home", shims)[1]["python"] == str(real)


def test_the_home_of_pyenv_and_conda_are_searched(tmp_path: Path) -> None:
    conda = put(tmp_path / "miniconda3/envs/dlc/bin/python3.7", WORKS)
    assert find(tmp_path)[1]["python"] == str(conda)
    pyenv = put(tmp_path / ".pyenv/versions/3.7.9/bin/python3.7", WORKS)
    assert find(tmp_path)[1]["python"] == str(pyenv)


def test_a_named_one_is_the_only_one(tmp_path: Path) -> None:
    put(tmp_path / ".pyenv/versions/3.7.9/bin/python3.7", WORKS)
    broken = put(tmp_path / "broken/python3.7", SHIM)
    status, found = find(tmp_path, arguments=("--executable", str(broken), "--how", "PYTHON37=..."))
    assert (status, found["python"]) == (3, None)
    assert found["message"].count("\n") == 0
    for wanted in (str(broken), "pyenv install", "PYTHON37=..."):
        assert wanted in found["message"]


def test_the_demo_says_it_in_one_sentence_and_ends_with_3(tmp_path: Path) -> None:
    driver = FINDER.parents[3] / "demo/run.py"
    env = dict(os.environ, PYTHON37=str(tmp_path / "nothing"))
    command = [sys.executable, str(driver), "--toolchain", "dlc-tf1-cpu", "--folder", str(tmp_path / "demo")]
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 3
    assert done.stderr.startswith("No usable Python 3.7 was found")
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "demo").iterdir()) == []
