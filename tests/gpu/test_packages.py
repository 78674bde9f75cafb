"""Layer 11: the processor, the interpreter, what is installed against the lock, DLClight where jobs run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import probes
from iblvideo_admin.gpu.checks import packages
from iblvideo_admin.gpu.checks.base import Context, Finding, ProbeError
from iblvideo_admin.gpu.inventory import Inventory
from iblvideo_admin.gpu.probes import tensorflow1_probe
from iblvideo_admin.gpu.sysroot import Sysroot
from iblvideo_admin.settings import Settings

CPU, GPU = toolchains.load("dlc-tf1-cpu"), toolchains.load("dlc-tf1-cuda10.0")
PROCESSOR = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Silver 4110\nflags\t\t: fpu sse sse2 avx avx2\n\n"


def answer(toolchain: toolchains.Toolchain, **changes: str | None) -> dict[str, Any]:
    """What the probe says of an environment as locked, some versions exchanged (None: not there)."""
    installed = {**toolchain.versions(), **{name.replace("_", "-"): version for name, version in changes.items()}}
    return {
        "python": "3.7.16",
        "packages": {name: version for name, version in installed.items() if version is not None},
        "damaged": {},
        "pip_check": list(toolchain.pip_check_allowed),
        "environment": {"DLClight": "True"},
    }


def context(tmp_path: Path, toolchain: toolchains.Toolchain = CPU, cpuinfo: str | None = PROCESSOR) -> Context:
    if cpuinfo is not None:
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    settings = Settings(dlc_python=tmp_path / "env/bin/python")
    return Context(settings, toolchain, Inventory(), Sysroot(tmp_path))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What layer 11 makes of the probe's answer."""

    def judged(data: dict[str, Any], toolchain: toolchains.Toolchain = CPU) -> Finding:
        monkeypatch.setattr(packages, "probe", lambda *_: data)
        return packages.check(context(tmp_path, toolchain))

    return judged


@pytest.mark.parametrize("toolchain", [CPU, GPU], ids=["cpu", "gpu"])
def test_as_locked(said: Any, toolchain: toolchains.Toolchain) -> None:
    assert said(answer(toolchain), toolchain).status == "pass"
    whole = answer(toolchain)
    whole["pip_check"] = ["No broken requirements found."]
    assert said(whole, toolchain).status == "pass"


def test_a_package_that_is_known_to_fail_comes_first_with_its_reason(said: Any) -> None:
    found = said(answer(CPU, certifi="1.0", protobuf="4.24.4"))
    assert found.status == "fail"
    assert found.summary.startswith("not as locked: protobuf is 4.24.4 (locked 3.20.3), certifi is 1.0")
    assert "protobuf 4 refuses" in found.evidence
    assert "/env/bin/python -m pip install --no-deps protobuf==3.20.3 certifi==" in found.remedy


def test_of_many_differences_the_remedy_is_a_new_environment(said: Any, tmp_path: Path) -> None:
    few = {name.replace("-", "_"): None for name in list(CPU.versions())[:20]}
    found = said(answer(CPU, **few))
    assert "and 12 more" in found.summary
    # nothing is ever removed that we have not made
    assert "rm " not in found.remedy and "ansible-playbook site.yml" in found.remedy
    (tmp_path / "env").mkdir()
    (tmp_path / "env/.iblvideo-admin.json").touch()
    assert f"rm -r $(readlink -f {tmp_path}/env)" in said(answer(CPU, **few)).remedy


@pytest.mark.parametrize(
    ("toolchain", "changes", "summary", "cause"),
    [
        (GPU, {"tensorflow": "1.13.1"}, "tensorflow 1.13.1 is installed beside tensorflow-gpu", "stays idle"),
        (GPU, {"tensorflow": "1.13.1", "tensorflow_gpu": None}, "is installed instead of tensorflow-gpu", "stays idle"),
        (GPU, {"tensorflow": "2.4.4"}, "tensorflow 2.4.4 is installed beside tensorflow-gpu", "TensorFlow 2"),
        (CPU, {"tensorflow_gpu": "1.13.1"}, "tensorflow-gpu 1.13.1 is installed beside tensorflow", "stays idle"),
        (CPU, {"tensorflow": "2.4.4"}, "not as locked: tensorflow is 2.4.4", "TensorFlow 2"),
        (GPU, {"tensorflow_gpu": "1.15.5"}, "not as locked: tensorflow-gpu is 1.15.5", "another TensorFlow"),
        (CPU, {"numpy": "1.21.6"}, "numpy is 1.21.6 (locked 1.19.5)", "numpy 1.20"),
        (CPU, {"protobuf": "4.24.4 and 3.20.3"}, "protobuf is 4.24.4 and 3.20.3", "protobuf 4"),
        (CPU, {"six": "unreadable"}, "six is unreadable", ""),
        (CPU, {"deeplabcut": None}, "deeplabcut is missing", ""),
    ],
)  # fmt: skip
def test_what_differs(said: Any, toolchain: toolchains.Toolchain, changes: dict, summary: str, cause: str) -> None:
    found = said(answer(toolchain, **changes), toolchain)
    assert (found.status, summary in found.summary, cause in found.evidence) == ("fail", True, True), found
    assert "-m pip " in found.remedy


def test_what_pip_complains_about(said: Any) -> None:
    data = answer(CPU)
    data["pip_check"] += ["imgaug 0.4.0 requires opencv-python, which is not installed."]
    found = said(data)
    assert (found.status, found.evidence) == ("fail", data["pip_check"][-1])


@pytest.mark.parametrize("value", [None, "true", "1", "TRUE", ""])
def test_dlclight_must_be_true_to_the_letter(said: Any, value: str | None) -> None:
    found = said({**answer(CPU), "environment": {"DLClight": value}})
    assert (found.status, "DLClight" in found.summary, "export DLClight=True" in found.remedy) == ("fail", True, True)


def test_another_series(said: Any) -> None:
    assert "is Python 3.11.2, not 3.7" in said({**answer(CPU), "python": "3.11.2"}).summary


@pytest.mark.parametrize(
    ("cpuinfo", "status"),
    [
        (PROCESSOR * 4, "pass"),
        (PROCESSOR.replace("avx avx2", "ssse3"), "fail"),
        (PROCESSOR + PROCESSOR.replace("avx avx2", "avx512f"), "fail"),
        (PROCESSOR.replace("avx avx2", "avx2"), "fail"),
        ("Features\t: fp asimd\n", "warn"),
        ("", "warn"),
        (None, "warn"),
    ],
)
def test_avx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpuinfo: str | None, status: str) -> None:
    monkeypatch.setattr(packages, "probe", lambda *_: answer(CPU))
    found = packages.check(context(tmp_path, cpuinfo=cpuinfo))
    assert found.status == status
    assert ("AVX" in found.summary) and (status != "fail" or "host-passthrough" in found.remedy)


def test_a_processor_that_may_not_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder in its place: layer 12 will see whether TensorFlow starts."""
    monkeypatch.setattr(packages, "probe", lambda *_: answer(CPU))
    (tmp_path / "proc/cpuinfo").mkdir(parents=True)
    assert packages.check(context(tmp_path, cpuinfo=None)).status == "warn"


@pytest.mark.parametrize("text", ["", "boom", "ImportError: libc.so.6: cannot open shared object file"])
def test_an_interpreter_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    def fails(*_: object) -> None:
        raise ProbeError("ended with status 1", text)

    monkeypatch.setattr(packages, "probe", fails)
    found = packages.check(context(tmp_path))
    assert (found.status, "cannot be run" in found.summary, "site.yml" in found.remedy) == ("fail", True, True)
    assert (text or "status 1") in found.evidence


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["python", "packages", "pip_check", "environment"]), st.text(max_size=20)),
    st.dictionaries(st.sampled_from(sorted(CPU.versions())), st.text(max_size=12), max_size=4),
    st.lists(st.text(max_size=30), max_size=3),
)
def test_odd_answers(said: Any, other: dict[str, str], versions: dict[str, str], lines: list[str]) -> None:
    data = answer(CPU)
    data["packages"].update(versions)
    data["pip_check"] += lines
    data["environment"].update(other)
    found = said(data)
    same = all(CPU.versions()[name] == version for name, version in versions.items())
    assert (found.status == "pass") == (same and not [line for line in lines if line not in CPU.pip_check_allowed])


# The real Python 3.7, with something laid over its packages


def real(tmp_path: Path, python: Path, overlay: dict[str, str], before: str = "") -> Finding:
    """Layer 11 on the real environment, with these files earlier on its path."""
    folder = tmp_path / "overlay"
    for name, text in overlay.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    wrapper = tmp_path / "env/bin/python"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(f'#!/bin/sh\n{before}\nPYTHONPATH="{folder}" exec "{python}" "$@"\n')
    wrapper.chmod(0o755)
    return packages.check(context(tmp_path))


def test_the_real_environment(tmp_path: Path, dlc_python: Path) -> None:
    found = real(tmp_path, dlc_python, {})
    assert found.status == "pass" and found.summary.startswith("AVX; Python 3.7."), found


@pytest.mark.parametrize(
    ("overlay", "before", "said"),
    [
        ({"protobuf-4.24.4.dist-info/METADATA": "Metadata-Version: 2.1\nName: protobuf\nVersion: 4.24.4\n"}, "",
         "protobuf is 4.24.4 and 3.20.3"),
        ({"six-9.dist-info/METADATA": "\0\xff"}, "", "not as locked: six is"),
        ({}, "unset DLClight", "DLClight is not set where jobs run"),
        ({"pkg_resources.py": "raise ImportError('gone')"}, "", "cannot be run"),
    ],
)  # fmt: skip
def test_a_spoilt_real_environment(tmp_path: Path, dlc_python: Path, overlay: dict, before: str, said: str) -> None:
    found = real(tmp_path, dlc_python, overlay, before)
    assert (found.status, said in found.summary) == ("fail", True), found
    assert found.remedy


def test_the_probe_speaks_json_whatever_is_installed(tmp_path: Path, dlc_python: Path) -> None:
    folder = tmp_path / "odd-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_bytes(os.urandom(200))
    (folder / "RECORD").write_bytes(os.urandom(200))
    script = Path(probes.__file__).with_name("tensorflow1_probe.py")
    done = subprocess.run(
        [dlc_python, script, "packages"], env={"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    data = json.loads(done.stdout.splitlines()[-1])
    assert data["packages"]["protobuf"] == "3.20.3"
    assert data["environment"]["DLClight"] is None


def test_files_that_are_not_as_pip_put_them_there(said: Any) -> None:
    data = answer(CPU)
    data["damaged"] = {"scikit-image": "skimage/draw/__init__.py: No such file or directory (and 2 more)"}
    found = said(data)
    assert (found.status, found.evidence) == ("fail", data["damaged"]["scikit-image"])
    assert found.remedy.endswith(f"--force-reinstall scikit-image=={CPU.versions()['scikit-image']}`")
    data["damaged"]["pip"] = "pip/__init__.py: No such file or directory"
    assert "-m pip" not in said(data).remedy


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("none", ""),
        ("gone", "a/one.py: No such file or directory (and 1 more)"),
        ("short", "a/one.py: 2 of 5 bytes"),
        ("list", "RECORD cannot be read (UnicodeDecodeError)"),
    ],
)
def test_the_probe_compares_files_with_what_pip_noted(tmp_path: Path, change: str, told: str) -> None:
    names = ["a/one.py", "a/two.so"]
    (tmp_path / "a").mkdir()
    for name in names:
        (tmp_path / name).write_text("12345")
    rows = [f"{name},sha256=x,5" for name in names] + ["a/__pycache__/one.pyc,,", "a-1.dist-info/RECORD,,"]
    record = "\n".join(rows).encode()
    if change == "gone":
        shutil.rmtree(tmp_path / "a")
    elif change == "short":
        (tmp_path / names[0]).write_text("12")
    elif change == "list":
        record = b"\xff\xfe"

    class Distribution:
        """What pkg_resources gives."""

        location = str(tmp_path)
        has_metadata = staticmethod(lambda _: True)
        get_metadata_lines = staticmethod(lambda _: record.decode().splitlines())

    assert tensorflow1_probe._damaged(Distribution()) == told


def test_two_versions_at_once_are_both_taken_away(said: Any) -> None:
    remedy = said(answer(CPU, numpy="1.21.6 and 1.19.5")).remedy
    assert "pip uninstall -y numpy` twice, then `" in remedy and remedy.endswith("numpy==1.19.5`")


def test_files_that_may_not_be_read_are_opened_not_installed_again(said: Any, tmp_path: Path) -> None:
    data = answer(CPU)
    data["damaged"] = {"h5py": "h5py/h5.so: Permission denied (and 3 more)", "six": "six.py: Permission denied"}
    found = said(data)
    assert (found.status, found.remedy) == ("fail", f"`chmod -R a+rX {tmp_path}/env`")
    data["damaged"]["six"] = "six.py: 3 of 5 bytes"
    assert "--force-reinstall" in said(data).remedy


def test_an_interpreter_that_this_user_may_not_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where uv has put it into root's home: a new environment would lie there, too."""
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/bin/python3.7").touch()
    python.symlink_to(tmp_path / "root/bin/python3.7")
    real = os.access
    closed = tmp_path / "root"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and real(path, mode))

    def refused(*_: Any) -> Any:
        raise ProbeError(f"{python}: Permission denied")

    monkeypatch.setattr(packages, "probe", refused)
    assert packages.check(context(tmp_path)).remedy.startswith(f"`chmod a+x {closed}`")
