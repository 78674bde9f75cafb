"""`uninstall.yml` in a folder that others use, too: it takes what these roles made, and leaves everything else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from iblvideo_admin import toolchains

Play = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[2]
MARKER = ".iblvideo-admin.json"
# These look at places of the system, whatever the inventory says.
OF_THE_SYSTEM = {"monitoring", "iblvideo_admin", "cuda", "nvidia_driver"}
CUDA = yaml.safe_load((toolchains.FOLDER / "dlc-tf1-cuda10.0.yml").read_text())["cuda"]["file"]
SOURCE = yaml.safe_load((toolchains.FOLDER / "sources/python-3.7.yml").read_text())["file"]


def put(folder: Path, *names: str, text: str = "x") -> None:
    """Files; a name that ends with a slash is an empty folder."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(text)


def found(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) + "/" * path.is_dir() for path in folder.rglob("*")}


def ours(prefix: Path) -> None:
    """What an installation has, and what interrupted runs leave."""
    put(
        prefix,
        f"downloads/{CUDA}",
        f"downloads/{CUDA}.part",
        f"downloads/{SOURCE}",
        "downloads/.iblvideo-python/a/b",
        "downloads/.iblvideo-cuda-10.0/x",
    )
    put(prefix, "mirror/wheels/cli.lock/a.whl", "mirror/.iblvideo-arriving/packages/x", ".iblvideo-mirror/wheels/")
    put(prefix, f"mirror/wheels/cli.lock/{MARKER}", text='{"carried": "abc"}')
    put(prefix, "mirror.list", text="# written by iblvideo-admin\ndeb file:/somewhere ./\n")
    put(prefix, "python3.7/bin/python3.7", f"python3.7/{MARKER}", "bin/")
    put(prefix, "weights/v1/roi/config.yaml", "weights/.v1.new/half", "weights/.v1.arrived.zip")
    put(prefix, f"weights/v1/{MARKER}", text='{"fingerprint": "abc"}')
    (prefix / "weights/current").symlink_to("v1")


@pytest.fixture
def uninstall(play: Play, tmp_path: Path) -> Callable[..., str]:
    """The playbook itself, but for the roles that look at the system's own places."""
    check, main = yaml.safe_load((ROOT / "playbooks/uninstall.yml").read_text())
    main["tasks"] = [task for task in main["tasks"] if task["ansible.builtin.import_role"]["name"] not in OF_THE_SYSTEM]
    main["roles"] += [{"role": role, "tags": ["never"]} for role in ("cuda", "iblvideo_admin")]  # their variables
    del check["ansible.builtin.import_playbook"]
    path = tmp_path / "uninstall.yml"
    path.write_text(yaml.safe_dump([main]))

    def run(prefix: Path, **variables: Any) -> str:
        done = play(
            str(path), inventory=ROOT / "demo/inventory", demo_folder=str(prefix), weights_name="v1", **variables
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def changed(said: str) -> int:
    return int(re.findall(r"\bchanged=(\d+)", said)[-1])


def test_only_the_weights_are_left(uninstall: Callable[..., str], tmp_path: Path) -> None:
    prefix = tmp_path / "data"
    ours(prefix)
    uninstall(prefix)
    assert [path.name for path in prefix.iterdir()] == ["weights"]
    assert changed(uninstall(prefix)) == 0
    uninstall(prefix, uninstall_weights=True)
    assert not prefix.exists()
    assert changed(uninstall(prefix, uninstall_weights=True)) == 0


def test_what_others_have_there_stays(uninstall: Callable[..., str], tmp_path: Path) -> None:
    """A lab may give us its folder of everything."""
    prefix = tmp_path / "data"
    put(
        prefix,
        "downloads/thesis.pdf",
        "downloads/Python-3.7.17/setup.py",
        "mirror/dists/Release",
        "mirror/wheels/a/b.whl",
    )
    put(prefix, "weights/by hand/roi/config.yaml", "mice/", "bin/tool", "envs/mine/bin/python", "mirror-staging/x")
    before = found(prefix)
    ours(prefix)
    said = " ".join(uninstall(prefix, uninstall_weights=True).split())
    assert found(prefix) == before
    assert f"Left, as these roles did not make it: {prefix}/weights/by hand" in said
    assert f"Left, as these roles did not make it: {prefix}/mirror/wheels/a" in said
    assert changed(uninstall(prefix, uninstall_weights=True)) == 0


def test_a_python_that_somebody_built_there_stays(uninstall: Callable[..., str], tmp_path: Path) -> None:
    put(tmp_path / "data", "python3.7/bin/python3.7", "mirror.list")
    before = found(tmp_path / "data")
    uninstall(tmp_path / "data")
    assert found(tmp_path / "data") == before


@pytest.mark.full
def test_jobs_and_caches_of_a_shared_folder(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In check mode: beside the state it looks at places of the system."""
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "json")
    prefix = tmp_path / "data"
    theirs = ("state/thesis.db", "scratch/onnx/theirs.onnx", "scratch/report/2026.pdf", "lock/apt", "scratch/mice/")
    put(prefix, *theirs)
    before = found(prefix)
    put(prefix, "state/ledger.sqlite", "state/ledger.sqlite-wal", "state/jobs/000001/log", "state/workers/cpu.lock")
    put(prefix, f"scratch/onnx/{'0a' * 32}-x.onnx", f"scratch/report/{'0a' * 16}.json", "scratch/trial.json")
    put(prefix, "scratch/matplotlib/fontlist-v310.json", "lock/cpu", f"lock/{'0a' * 12}", "lock/alyx-x")
    put(prefix, "cache/iblvideo-admin/anything/at all")
    mine = found(prefix) - before
    given: dict[str, Any] = {"uninstall_state": True, "nvidia_driver_manage": False, "uninstall_cuda": False}
    done = play(
        "playbooks/uninstall.yml", "--check", "-v", inventory="demo/inventory", demo_folder=str(prefix), **given
    )
    assert done.returncode == 0, done.stdout + done.stderr
    removed = removed_by(done.stdout)
    gone = {name for name in mine if any(f"{prefix}/{name}/".startswith(f"{path}/") for path in removed)}
    assert mine - gone == {name for name in mine if name.startswith("cache/")}
    assert not [path for path in removed for name in before if f"{prefix}/{name}".startswith(f"{path}/")]

    named = {f"iblvideo_admin_{what}_dir": f"{prefix}/cache/iblvideo-admin" for what in ("scratch", "state")}
    done = play("playbooks/uninstall.yml", "--check", "-v", inventory="demo/inventory", **given, **named)
    assert f"{prefix}/cache/iblvideo-admin" in removed_by(done.stdout), "a folder that is called after us is ours"


def removed_by(said: str) -> list[str]:
    answers = [json.loads(text) for text in re.findall(r"=> (\{.*\})$", said, re.MULTILINE)]
    return [path for answer in answers for path in answer.get("removed", [])]
