"""The commands of ``queue`` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab import Lab, sleeper, statuses, until

from iblvideo_admin.queue.lease import is_taken
from iblvideo_admin.tracking import table


def numbers(document: dict) -> list[int]:
    return [job["id"] for job in document["data"]["jobs"]]


@pytest.fixture
def several(lab: Lab) -> Lab:
    """Four sessions in the queue, one of them damaged."""
    for subject, date, camera in (
        ("KS001", "2026-01-15", "body"), ("KS002", "2026-02-01", "body"), ("ZM_1", "2026-02-02", "left"),
        ("[red]", "2026-02-02", "body"),
    ):  # fmt: skip
        lab.video(camera, 6, session=lab.session(subject, date))
    lab.json("queue", "add", lab.subjects)
    return lab


def test_adding_twice_is_adding_once(lab: Lab) -> None:
    video = lab.video()
    first = lab.json("queue", "add", video.session)
    again = lab.json("queue", "add", video.path, video.session, lab.subjects)
    assert numbers(first) == numbers(again) == [1]
    assert first["data"]["jobs"][0]["status"] == "Waiting"
    assert lab.run("queue", "add", video.session).stdout == "job 1  Waiting  KS001/2026-01-15/001  body\n"


def test_globs(several: Lab) -> None:
    found = several.json("queue", "add", f"{several.subjects}/KS00?/*/*")
    assert [job["session"].split("/")[0] for job in found["data"]["jobs"]] == ["KS001", "KS002"]
    assert len(numbers(several.json("queue", "add", f"{several.subjects}/**/_iblrig_bodyCamera.raw.mp4"))) == 3
    exact = several.json("queue", "add", f"{several.subjects}/[red]")
    assert exact["data"]["jobs"][0]["session"].startswith("[red]"), "what is there is no glob"
    missing = several.json("queue", "add", f"{several.subjects}/XX*")
    assert (missing["exit_code"], missing["errors"][0]["code"]) == (2, "path.missing")


@pytest.mark.parametrize("arguments", [[], ["--camera", "left"]])
def test_adding_nothing_is_a_wrong_call(lab: Lab, arguments: list[str]) -> None:
    document = lab.json("queue", "add", *arguments)
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "usage")


def test_what_has_a_table_is_not_added(lab: Lab) -> None:
    video = lab.video()
    video.alf.mkdir()
    video.table.write_bytes(b"somebody's")
    document = lab.json("queue", "add", video.session)
    assert document["data"]["jobs"] == [] and document["data"]["skipped"][0]["because"] == "has a table already"


def test_what_older_weights_made_is_tracked_again(lab: Lab) -> None:
    ours, theirs, new = (lab.video(session=lab.session(name)) for name in ("ours", "theirs", "new"))
    lab.json("process", ours.session)
    theirs.alf.mkdir()
    theirs.table.write_bytes(b"somebody's")
    for version, wanted in (("9.9", []), ("9.10", ["ours"]), ("weights_v10.0", ["ours"])):
        document = lab.json("queue", "add", "--below-weights", version)
        assert [job["session"].split("/")[0] for job in document["data"]["jobs"]] == wanted
    because = {skipped["video"].split("/")[-5]: skipped["because"] for skipped in document["data"]["skipped"]}
    assert "nobody knows which weights" in because["theirs"] and "has no table" in because["new"]
    token = (table.provenance_of(ours.table) or {})["job"]["token"]
    assert lab.json("process", "--camera", "body")["exit_code"] == 0
    assert (table.provenance_of(ours.table) or {})["job"]["token"] != token
    assert theirs.table.read_bytes() == b"somebody's" and new.table.exists()
    assert len(list((ours.work / "replaced").glob("*/*.pqt"))) == 1


CHOICES = [
    ([], ["KS001", "KS002", "ZM_1", "[red]"]), (["--limit", "0"], []),
    (["--camera", "left"], ["ZM_1"]), (["--subject", "KS*"], ["KS001", "KS002"]), (["--subject", "[red]"], ["[red]"]),
    (["--date", "2026-02"], ["KS002", "ZM_1", "[red]"]), (["--date", "2026-02-01"], ["KS002"]),
    (["--status", "errored"], ["KS002"]), (["--code", "video.*"], ["KS002"]), (["--code", "gpu.*"], []),
    (["--subject", "'; DROP TABLE jobs; --"], []),
]  # fmt: skip


def test_list_filters(several: Lab) -> None:
    video = next(several.subjects.glob("KS002/*/*/raw_video_data/*.mp4"))
    video.write_bytes(b"no video")
    several.json("process", video)
    for choice, wanted in CHOICES:
        found = several.json("queue", "list", *choice)["data"]["jobs"]
        assert sorted(job["subject"] for job in found) == sorted(wanted), choice
    assert numbers(several.json("queue", "list", "--limit", "2")) == [3, 4], "the newest"


def test_the_order_is_priority_then_age(several: Lab) -> None:
    several.json("queue", "priority", "3", "5")
    assert several.json("queue", "priority", "1", "-1")["data"]["jobs"][0]["priority"] == -1
    ids = [
        job["id"] for job in several.json("process", "--max-jobs", "4")["data"]["jobs"] if job["status"] == "Complete"
    ]
    assert sorted(ids) == [1, 2, 3, 4]
    ends = {n: several.json("queue", "show", str(n))["data"]["job"]["state"]["since"] for n in ids}
    assert sorted(ends, key=ends.__getitem__) == [3, 2, 4, 1]


def test_several_at_once_and_one_that_is_not_there(several: Lab) -> None:
    document = several.json("queue", "cancel", "1", "99", "2", "1")
    assert numbers(document) == [1, 2]
    assert (document["exit_code"], [error["code"] for error in document["errors"]]) == (2, ["queue.job_unknown"])
    assert statuses(several) == ["Abandoned", "Abandoned", "Waiting", "Waiting"]
    assert several.run("queue", "retry", "1").stdout == "job 1 is Waiting\n"
    document = several.json("queue", "retry", "1", "2")
    assert document["exit_code"] == 0 and statuses(several)[:2] == ["Waiting", "Waiting"]


def test_retry_tells_what_cannot_be_tried_again(lab: Lab) -> None:
    video = lab.video()
    lab.json("process", video.session)
    document = lab.json("queue", "retry", "1")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "queue.not_possible")
    assert "is Complete, not Errored, Abandoned or Waiting" in document["errors"][0]["message"]


def test_a_hold_ends_by_itself(lab: Lab) -> None:
    lab.video()
    lab.json("queue", "add", lab.subjects)
    assert " until " in lab.json("queue", "hold", "--for", "3s", "--why", "a moment")["data"]["held"]
    assert lab.json("queue", "hold", "1", "--for", "1d12h30m")["data"]["job"]["state"]["until"] > 0
    assert lab.json("status")["data"]["attention"] == [], "who says how long has not forgotten it"
    until(lambda: lab.json("queue", "list")["data"]["held"] is None)


@pytest.mark.parametrize("time", ["", "2", "h", "-1h", "0h", "2 h", "1y", "nan"])
def test_a_time_that_is_none(lab: Lab, time: str) -> None:
    document = lab.json("queue", "hold", f"--for={time}")
    if time:
        assert (document["exit_code"], document["errors"][0]["code"]) == (2, "usage")
    else:
        assert document["exit_code"] == 0


def test_an_acknowledged_failure_needs_no_attention(lab: Lab) -> None:
    video = lab.video()
    good = video.path.read_bytes()
    video.path.write_bytes(b"no video")
    lab.json("process", video.session)
    assert lab.json("status")["data"]["attention"]
    assert lab.run("queue", "acknowledge", "1").stdout == "job 1 is Errored, acknowledged\n"
    data = lab.json("status")["data"]
    assert data["attention"] == [] and data["failures"][0]["acknowledged"] is True
    lab.json("process", video.session)
    assert lab.json("status")["data"]["attention"], "it has failed once more"
    video.path.write_bytes(good)
    lab.json("queue", "retry", "1")
    assert lab.json("process")["exit_code"] == 0
    assert lab.json("queue", "acknowledge", "1")["errors"][0]["code"] == "queue.not_possible"


def test_the_log_and_its_end(lab: Lab) -> None:
    lab.video()
    lab.json("process", STAND_IN="crash")
    text = lab.json("queue", "log", "1")["data"]["text"]
    assert "engine.crashed" in text or text == ""
    (lab.folder / "state/jobs/000001/log").write_bytes(b"one\r\n\x1b[2Jtwo\xff\tthree\n")
    assert lab.run("queue", "log", "1").stdout == "one\n\\x1b[2Jtwo\ufffd    three\n"
    assert lab.json("queue", "log", "9")["exit_code"] == 2


def test_a_log_is_followed_until_the_job_ends(lab: Lab) -> None:
    video = lab.video()
    log = lab.folder / "state/jobs/000001/log"
    with lab.start("process", video.session, **sleeper(lab)) as process:
        until(lambda: is_taken(lab.folder / "locks/cpu"))
        with lab.start("queue", "log", "1", "--follow") as following:
            with open(log, "a") as file:
                file.write("later\n")
            until(lambda: log.stat().st_size > 0)
            assert following.poll() is None
            lab.json("queue", "cancel", "1")
            out, _ = following.communicate(timeout=30)
        process.communicate(timeout=30)
    assert "later\n" in out


def test_prune_removes_folders_and_never_tables(lab: Lab) -> None:
    video = lab.video()
    lab.json("process", video.session)
    assert lab.json("queue", "prune")["data"]["jobs"] == [], "it ended just now"
    assert (
        lab.run("queue", "prune", "--older-than", "0", "--dry-run").stdout == "folders would be removed: 1 (jobs 1)\n"
    )
    before = table.sha256_of(video)
    assert lab.json("queue", "prune", "--older-than", "0")["data"]["jobs"] == [1]
    assert not Path(lab.folder / "state/jobs/000001").exists() and table.sha256_of(video) == before
    assert lab.json("queue", "prune", "--older-than", "0")["data"]["jobs"] == []
    assert lab.json("queue", "log", "1")["errors"][0]["code"] == "queue.not_possible"
    assert lab.json("queue", "show", "1")["data"]["files"] == []
    assert lab.json("process", video.session, "--overwrite")["exit_code"] == 0, "a pruned job can be asked for again"
    assert json.loads((lab.folder / "state/jobs/000001/result.json").read_text())["status"] == "Complete"


def test_repair_has_nothing_to_say_of_a_sound_queue(several: Lab) -> None:
    assert several.run("queue", "repair").stdout == "the ledger agrees with the folders\n"
