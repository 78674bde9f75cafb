"""The toolchain files are the only place of versions, and the locks hold what they say."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from iblvideo_admin import toolchains
from iblvideo_admin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(toolchains.FOLDER.glob("*.lock"))


def requirements(lock: Path) -> dict[str, str]:
    """`name==version [; marker]` -> what belongs to it."""
    logical = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    lines = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    return {line.split("--hash")[0].strip(): line for line in lines}


def test_names() -> None:
    assert {"dlc-tf1-cpu", "dlc-tf1-cuda10.0", "onnx-cpu", "onnx-cuda12"} == set(toolchains.names())


@pytest.mark.parametrize("name", toolchains.names())
def test_each_file_is_whole(name: str) -> None:
    toolchain = toolchains.load(name)
    assert toolchain.name == name
    assert toolchain.lock.is_file()
    if toolchain.in_process:  # in the command line's own environment, with CUDA from its packages if any
        assert toolchain.build_lock is None and toolchain.cuda is None
        assert toolchain.imports_package("onnxruntime") == f"onnxruntime{'-gpu' if toolchain.needs_gpu else ''}"
    else:
        assert toolchain.build_lock is not None and toolchain.build_lock.is_file()
        assert (toolchain.cuda is not None) == toolchain.needs_gpu
    with pytest.raises(FrozenInstanceError):
        toolchain.name = "other"  # type: ignore[misc]


def test_the_reference_is_exact() -> None:
    reference = toolchains.load("dlc-tf1-cuda10.0")
    versions = reference.versions()
    assert (versions["tensorflow-gpu"], versions["deeplabcut"]) == ("1.13.1", "2.1.5.2")
    assert versions["ruamel-yaml"] == "0.17.40"
    assert reference.environment["DLClight"] == "True"
    assert reference.driver_min == "410.48"
    assert reference.cudnn is not None
    assert reference.cudnn["version"] == "7.6.5.32"
    assert [reference.serves(c) for c in ("3.0", "3.5", "7.5", "8.0", "12.0")] == [False, True, True, False, False]
    assert not toolchains.load("dlc-tf1-cpu").serves("7.5")


def test_unknown() -> None:
    with pytest.raises(UserError) as caught:
        toolchains.load("../cli")
    assert caught.value.code == "toolchain.unknown"
    assert "dlc-tf1-cpu" in caught.value.remedy


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_everything_is_locked_by_hash(lock: Path) -> None:
    found = requirements(lock)
    assert found
    for requirement, line in found.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==\S+( ; .+)?", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), requirement
    assert "://" not in lock.read_text(encoding="utf-8"), (
        "an address: the hash says what is meant, pip knows where it is"
    )
    assert "-index" not in lock.read_text(encoding="utf-8")


def test_cpu_and_gpu_differ_in_tensorflow_only() -> None:
    cpu, gpu = (requirements(toolchains.FOLDER / f"dlc-tf1-{name}.lock") for name in ("cpu", "cuda10.0"))
    assert set(cpu) ^ set(gpu) == {"tensorflow==1.13.1", "tensorflow-gpu==1.13.1"}
    assert all(cpu[name] == gpu[name] for name in set(cpu) & set(gpu))


@pytest.mark.parametrize("name", ["cpu", "cuda10.0"])
def test_the_build_tools_are_the_same_in_both_locks(name: str) -> None:
    whole = requirements(toolchains.FOLDER / f"dlc-tf1-{name}.lock")
    build = requirements(toolchains.FOLDER / "dlc-tf1-build.lock")
    assert set(build) <= set(whole), "the second lock would replace what the first has installed"


def test_what_pip_check_may_say_is_what_the_lock_makes_it_say() -> None:
    toolchain = toolchains.load("dlc-tf1-cpu")
    versions = toolchain.versions()
    assert toolchain.pip_check_allowed == (
        f"deeplabcut {versions['deeplabcut']} requires intel-openmp, which is not installed.",
        f"deeplabcut {versions['deeplabcut']} has requirement tables==3.4.3, but you have tables {versions['tables']}.",
    )


def test_versions_stand_nowhere_else() -> None:
    """No checksum, no download address and none of the reference's versions in roles and playbooks."""
    reference = toolchains.load("dlc-tf1-cuda10.0")
    assert reference.cuda is not None
    forbidden = re.compile(
        r"[0-9a-f]{40,}|(https?|ftp)://|"
        + "|".join(re.escape(v) for v in ("1.13.1", "2.1.5.2", reference.cuda["release"]))
    )
    for folder in ("roles", "playbooks", "demo"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".yml", ".py", ".j2"} or path.name == "inventory":
                found = forbidden.search(path.read_text(encoding="utf-8"))
                assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"
