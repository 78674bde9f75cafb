"""What a command is started with: streams, homes, encodings, odd arguments.  It answers once, without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from lab import Lab

COMMAND = f'"{sys.executable}" -m iblvideo_admin'


def shell(lab: Lab, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["/bin/bash", "-c", line.replace("iblvideo-admin ", f"{COMMAND} ")],
        env={**lab.environment, **environment}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_closed_standard_streams(lab: Lab) -> None:
    assert shell(lab, "iblvideo-admin status >&-").returncode == 0
    done = shell(lab, "iblvideo-admin process --json 2>&-")
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (0, 0)
    lab.video().path.write_bytes(b"x")
    assert shell(lab, "iblvideo-admin process >&- 2>&- <&-").returncode == 1
    assert lab.json("queue", "list")["data"]["counts"]["Errored"] == 1


def test_output_that_cannot_be_written(lab: Lab) -> None:
    done = shell(lab, "iblvideo-admin status >/dev/full")
    assert done.returncode == 1 and "No space left" in done.stderr
    assert shell(lab, "iblvideo-admin config show | true; exit ${PIPESTATUS[0]}").returncode == 0


def test_nobody_reads_the_progress(lab: Lab) -> None:
    video = lab.video()
    assert shell(lab, f"iblvideo-admin process '{video.session}' 2>/dev/full").returncode == 0
    assert video.table.exists()
    assert shell(lab, "iblvideo-admin queue show 9 2>/dev/full").returncode == 2


def test_an_output_that_speaks_ascii(lab: Lab) -> None:
    lab.video(session=lab.session("鼠"))
    assert "\\u9f20" in shell(lab, "iblvideo-admin process --dry-run", PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize("home", ["/dev/null", "", "/nowhere"])
def test_homes_of_services(lab: Lab, home: str) -> None:
    assert lab.json("config", "show", HOME=home)["exit_code"] == 0
    assert lab.json("config", "path", HOME=home)["exit_code"] == 0


def test_a_user_whom_the_system_does_not_know(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from iblvideo_admin import settings

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert settings.files({}) == (settings.SYSTEM_FILE,)


def test_an_empty_path_is_not_the_folder_one_is_in(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.video()
    monkeypatch.chdir(lab.subjects)
    document = lab.json("process", "", "--dry-run")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "usage")


def test_overwrite_needs_a_path(lab: Lab) -> None:
    document = lab.json("process", "--overwrite")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "usage")


def test_no_subjects_folder(lab: Lab) -> None:
    document = lab.json("process", IBLVIDEO_ADMIN_SUBJECTS_DIR=str(lab.folder / "unmounted"))
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "settings.invalid")
    assert "subjects_dir" in document["errors"][0]["remedy"]


@pytest.mark.parametrize("number", ["9223372036854775808", "9" * 40])
def test_a_number_that_no_job_can_have(lab: Lab, number: str) -> None:
    document = lab.json("queue", "show", number)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "queue.job_unknown")


def test_a_state_folder_that_others_own(lab: Lab) -> None:
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: only root can be somebody else")
    with tempfile.TemporaryDirectory() as secret:  # 0700
        environment = {"IBLVIDEO_ADMIN_STATE_DIR": f"{secret}/state", "HOME": "/nowhere"}
        other = f"setpriv --reuid=65534 --regid=65534 --clear-groups {COMMAND}"
        done = shell(lab, f"{other} status --json", **environment)
        assert done.returncode == 1 and json.loads(done.stdout)["data"]["attention"], done.stderr
        done = shell(lab, f"{other} queue list --json", **environment)
        assert (done.returncode, json.loads(done.stdout)["errors"][0]["code"]) == (3, "state.not_usable")
        done = shell(lab, f"{other} process --dry-run --json", **environment)
        assert (done.returncode, json.loads(done.stdout)["errors"][0]["code"]) == (3, "settings.invalid")


def test_a_job_runs_the_installed_package_wherever_one_stands(lab: Lab) -> None:
    """`python -m` looks into the current folder first; what lies there must not be what tracks."""
    video = lab.video()
    other = lab.folder / "other"
    (other / "iblvideo_admin").mkdir(parents=True)
    (other / "iblvideo_admin/__init__.py").write_text("raise SystemExit('from the current folder')")
    code = "import os, sys; from iblvideo_admin.cli import main; os.chdir(sys.argv[1]); sys.exit(main(sys.argv[2:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, other, "process", video.session],
        env=lab.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert video.table.exists()
