"""``process`` as a user runs it, in its own process, with a stand-in for TensorFlow."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lab import Lab, tree, write_video


def outcome(document: dict) -> dict[str, tuple[str, str]]:
    return {job["camera"]: (job["status"], job.get("code", "")) for job in document["data"]["jobs"]}


def test_a_session_is_tracked(lab: Lab) -> None:
    videos = [lab.video(camera, frames) for camera, frames in (("left", 3), ("right", 9), ("body", 6))]
    document = lab.json("process", videos[0].session)
    assert document["exit_code"] == 0, document
    assert outcome(document) == dict.fromkeys(("left", "right", "body"), ("Complete", ""))
    for video, rows in zip(videos, (3, 9, 6), strict=True):
        table = pq.read_table(video.table)
        assert table.num_rows == rows
        assert table.column_names[:3] == [f"{video.camera.points[0]}_{what}" for what in ("x", "y", "likelihood")]
        assert json.loads(video.provenance.read_text())["video"]["frames"] == rows
    again = lab.json("process", videos[0].session)
    assert again["exit_code"] == 0 and again["data"]["jobs"] == []
    assert len(again["data"]["skipped"]) == 3


def test_without_paths_the_subjects_folder_is_scanned(lab: Lab) -> None:
    lab.video(session=lab.session("A"))
    lab.video(session=lab.session("B", "2026-02-01"))
    assert len(lab.json("process", "--since", "2026-02-01")["data"]["jobs"]) == 1
    assert len(lab.json("process")["data"]["jobs"]) == 1
    assert lab.json("process")["data"]["jobs"] == []


def test_an_empty_subjects_folder_is_no_error(lab: Lab) -> None:
    done = lab.run("process")
    assert (done.returncode, done.stdout) == (0, "nothing to do\n")


_ONE_BY_ONE = ["with space", "quote'\"s", "semi;colon && rm -rf", "$(touch x)", "per%cent"]


@pytest.mark.parametrize(
    "subject",
    ["new\nline", "ünïcödé-鼠", "-dash", "a 'b\";c && $(touch x) %d",
     *(pytest.param(subject, marks=pytest.mark.full) for subject in _ONE_BY_ONE)],
)  # fmt: skip
def test_strange_names(lab: Lab, subject: str) -> None:
    video = lab.video(session=lab.session(subject))
    done = lab.run("process", video.session)
    assert done.returncode == 0, done.stderr
    assert video.table.exists()
    assert len(done.stdout.splitlines()) == 1
    assert "\x1b" not in done.stdout + done.stderr


def break_missing(path: Path) -> None:
    path.write_bytes(b"")


def break_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def break_text(path: Path) -> None:
    path.write_text("this is no video\n" * 100)


def break_size(path: Path) -> None:
    write_video(path, 320, 240, 8)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (break_missing, "video.empty"),
        (break_half, "video.corrupt"),
        pytest.param(break_text, "video.corrupt", marks=pytest.mark.full),
        (break_size, "video.wrong_size"),
    ],
)
def test_a_bad_video_is_one_message_and_the_others_are_tracked(lab: Lab, damage, code: str) -> None:
    good = lab.video("body")
    bad = lab.video("right")
    damage(bad.path)
    before = bad.path.read_bytes()
    document = lab.json("process", good.session)
    assert document["exit_code"] == 1
    assert outcome(document) == {"body": ("Complete", ""), "right": ("Errored", code)}
    assert [problem["code"] for problem in document["errors"]] == [code]
    assert document["errors"][0]["remedy"]
    assert bad.path.read_bytes() == before
    assert sorted(path.name for path in bad.alf.iterdir()) == [".iblvideo-admin", good.table.name]
    assert not list(bad.work.glob("*.tmp"))
    lines = lab.run("process", bad.session).stderr.splitlines()
    assert sum(line.startswith(f"error {code}: ") for line in lines) == 1


def test_a_video_that_ends_before_its_index(lab: Lab) -> None:
    video = lab.video("body", frames=60, container={"movflags": "faststart"})
    break_half(video.path)
    assert outcome(lab.json("process", video.session))["body"] == ("Errored", "video.truncated")
    assert not video.table.exists()


def test_no_such_path(lab: Lab) -> None:
    document = lab.json("process", lab.subjects / "nobody")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "path.missing")


def test_an_empty_folder(lab: Lab) -> None:
    (lab.subjects / "empty").mkdir()
    document = lab.json("process", lab.subjects / "empty")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "path.no_videos")


def test_a_file_that_is_no_raw_video(lab: Lab) -> None:
    other = lab.session() / "raw_video_data" / "notes.mp4"
    other.write_text("x")
    document = lab.json("process", other)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "path.not_a_video")


def test_links_that_lead_outside_are_refused(lab: Lab, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    alf, work, session = (lab.video(session=lab.session(name)) for name in ("alf", "work", "session"))
    alf.alf.symlink_to(elsewhere)
    work.alf.mkdir()
    work.work.symlink_to(elsewhere)
    shutil.move(session.session, elsewhere / "001")
    session.session.symlink_to(elsewhere / "001")
    good = lab.video(session=lab.session("other"))
    before = tree(elsewhere)
    document = lab.json("process", lab.subjects)
    assert document["exit_code"] == 1
    assert [problem["code"] for problem in document["errors"]] == ["path.outside"] * 3
    assert tree(elsewhere) == before
    assert good.table.exists()


def test_a_missing_network_stops_only_its_camera(lab: Lab) -> None:
    left, body = lab.video("left", 3), lab.video("body")
    shutil.rmtree(next(lab.weights.glob("eye-*")))
    document = lab.json("process", left.session)
    assert outcome(document) == {"left": ("Errored", "weights.missing"), "body": ("Complete", "")}
    assert "eye-mic-*" in document["errors"][0]["message"]
    assert not left.alf.joinpath(left.camera.table_name).exists()
    assert body.table.exists()


def test_no_weights_at_all_starts_nothing(lab: Lab) -> None:
    video = lab.video()
    document = lab.json("process", video.session, IBLVIDEO_ADMIN_WEIGHTS_DIR=str(lab.folder / "nothing"))
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "weights.missing")
    assert not (lab.folder / "state").exists()


def test_no_interpreter_starts_nothing(lab: Lab) -> None:
    video = lab.video()
    document = lab.json("process", video.session, IBLVIDEO_ADMIN_DLC_PYTHON="/nowhere/python")
    assert (document["exit_code"], document["errors"][0]["code"]) == (3, "toolchain.not_provisioned")


@pytest.mark.parametrize("content", [b"somebody's own table", b""])
def test_a_table_of_somebody_else_is_never_touched(lab: Lab, content: bytes) -> None:
    video = lab.video()
    video.alf.mkdir()
    video.table.write_bytes(content)
    document = lab.json("process", video.session)
    assert document["exit_code"] == 0
    assert [skipped["because"] for skipped in document["data"]["skipped"]] == ["has a table already"]
    assert tree(video.alf) == {video.table.name: content}


def test_overwrite_keeps_the_old_table(lab: Lab) -> None:
    video = lab.video()
    video.alf.mkdir()
    video.table.write_bytes(b"old")
    assert lab.json("process", video.session, "--overwrite")["exit_code"] == 0
    assert pq.read_table(video.table).num_rows == 8
    kept = [path for path in (video.work / "replaced").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [b"old"]


def test_nothing_found_names_picture_and_remedy_and_windows_help(lab: Lab) -> None:
    video = lab.video("left", 6)
    document = lab.json("process", video.session, STAND_IN="unsure")
    problem = document["errors"][0]
    assert problem["code"] == "regions.not_found" and "--windows" in problem["remedy"]
    picture = Path(problem["message"].rsplit(" ", 1)[1])
    assert picture.read_bytes().startswith(b"\x89PNG")
    points = lab.folder / "windows.toml"
    points.write_text(
        "[left]\nnose_tip = [340, 560]\npupil_top_r = [640, 313]\ntube_top = [330, 672]\ntube_bottom = [318, 728]\n"
    )
    document = lab.json("process", video.session, "--windows", points, STAND_IN="unsure")
    assert outcome(document)["left"] == ("Complete", "")
    table = pq.read_table(video.table)
    # the stand-in points at each window's middle, and the median filter leaves all but the ends
    assert table["nose_tip_x"][3].as_py() == 340 and table["pupil_top_r_y"][3].as_py() == 313
    assert json.loads(video.provenance.read_text())["regions"]["how"] == "by hand"


def test_a_damaged_windows_file_is_wrong_usage(lab: Lab) -> None:
    points = lab.folder / "windows.toml"
    points.write_text("[left]\nnose_tip = [5000, 560]\n")
    document = lab.json("process", lab.video("left", 3).session, "--windows", points)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "windows.invalid")


@pytest.mark.parametrize(("mode", "code"), [("crash", "engine.crashed"), ("fail", "engine.failed")])
def test_an_engine_that_dies_or_complains(lab: Lab, mode: str, code: str) -> None:
    video = lab.video()
    document = lab.json("process", video.session, STAND_IN=mode)
    assert outcome(document)["body"] == ("Errored", code)
    assert not video.table.exists() and not list(video.work.glob("*.tmp"))
    assert lab.json("process", video.session)["exit_code"] == 0  # once repaired, naming it is enough


def test_slurm_is_not_available_yet_and_alyx_wants_its_settings(lab: Lab) -> None:
    for option, value, code in (("--executor", "slurm", "not_available"), ("--source", "alyx", "not_configured")):
        document = lab.json("process", option, value)
        assert (document["exit_code"], document["errors"][0]["code"]) == (3, f"{value}.{code}")


def test_dry_run_changes_nothing(lab: Lab) -> None:
    video = lab.video()
    before = tree(lab.subjects)
    document = lab.json("process", "--dry-run")
    assert document["data"]["videos"] == [str(video.path)]
    assert document["data"]["gpu_days"] is None
    assert tree(lab.subjects) == before and not (lab.folder / "state").exists()


def test_a_held_queue_runs_nothing_and_says_so(lab: Lab) -> None:
    video = lab.video()
    lab.json("queue", "hold", "--why", "maintenance")
    document = lab.json("process", video.session)
    assert (document["exit_code"], document["errors"][0]["code"]) == (1, "queue.held")
    assert not video.table.exists()
    lab.json("queue", "release")
    assert lab.json("process")["exit_code"] == 0
    assert video.table.exists()


def test_max_jobs(lab: Lab) -> None:
    for subject in "ABC":
        lab.video(session=lab.session(subject))
    document = lab.json("process", "--max-jobs", "2")
    assert [job["status"] for job in document["data"]["jobs"]].count("Complete") == 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_the_job_goes_back(lab: Lab, how: signal.Signals) -> None:
    video = lab.video(frames=8)
    slow = lab.folder / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with lab.start("process", video.session, "--json", IBLVIDEO_ADMIN_DLC_PYTHON=str(slow)) as process:
        deadline = time.monotonic() + 30
        ledger = lab.folder / "state/ledger.sqlite"
        while time.monotonic() < deadline:
            if ledger.exists():
                with sqlite3.connect(ledger) as db:
                    made = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'jobs'").fetchone()[0]
                    if made and db.execute("SELECT status FROM jobs").fetchone() == ("Started",):
                        break
            time.sleep(0.1)
        begun = time.monotonic()
        process.send_signal(how)
        out, _ = process.communicate(timeout=20)
    assert time.monotonic() - begun < 6
    assert process.returncode == 130
    assert json.loads(out)["errors"][0]["code"] == "interrupted"
    document = lab.json("queue", "list")
    assert [job["status"] for job in document["data"]["jobs"]] == ["Waiting"]
    assert lab.json("process", video.session)["exit_code"] == 0


def test_usage_errors_are_one_document(lab: Lab) -> None:
    for arguments in (["--nothing"], ["--camera", "top"], ["--max-jobs", "0"], ["--since", "yesterday"]):
        document = lab.json("process", *arguments)
        assert (document["command"], document["exit_code"]) == ("process", 2)
        assert document["errors"][0]["code"] == "usage"
