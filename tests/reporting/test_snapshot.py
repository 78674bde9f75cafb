"""What a snapshot is made of: disks and their rate, the last check, the service, what needs a person."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab, add_job
from reporting import sample

from iblvideo_admin.gpu import last_check
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.queue.states import Complete, Errored, Started
from iblvideo_admin.reporting import attention, disks, jobs, service, snapshot
from iblvideo_admin.settings import Settings

DAY = 86400.0
NOW = sample.NOW


# ------------------------------------------------------------------------------------------------- disks


@settings(deadline=None)
@given(st.floats(1e6, 1e12), st.integers(3, 100), st.integers(1, 10**15))
def test_the_rate_of_a_steady_stream_is_found(per_day: float, count: int, free: int) -> None:
    samples = [(NOW + 7 * DAY * i / count, int(free - per_day * 7 * i / count), 0) for i in range(count)]
    found = disks.rate(samples)
    assert found is not None and found == pytest.approx(per_day, rel=1e-3, abs=2 * count)


def test_one_big_clean_up_counts_little() -> None:
    samples = [(NOW + i * 3600.0, 10**12 - i * 10**9 + (5 * 10**11 if i > 80 else 0), 1) for i in range(100)]
    found = disks.rate(samples)
    assert found == pytest.approx(24e9, rel=0.2)


@pytest.mark.parametrize("samples", [
    [], [(NOW, 5, 9)], [(NOW + i * 60.0, 5 - i, 9) for i in range(5)], [(NOW, 5, 9), (NOW + DAY, 4, 9)],
])  # fmt: skip
def test_too_little_says_nothing(samples: list[disks.Sample]) -> None:
    assert disks.rate(samples) is None


def test_days_left() -> None:
    assert disks.days_left(10**12, 10**11) == 10.0
    assert disks.days_left(10**12, 0.0) is disks.days_left(10**12, -5.0) is disks.days_left(None, 1.0) is None
    assert disks.days_left(10**15, 1.0) is None, "ten years are for ever"


def test_samples_are_kept_one_an_hour(tmp_path: Path) -> None:
    settings = Settings(subjects_dir=tmp_path, state_dir=tmp_path)
    for minutes in range(0, 600, 10):
        found = disks.look(settings, NOW + minutes * 60)
    kept = json.loads((tmp_path / "disks.json").read_text())["samples"]
    assert len(kept["subjects_dir"]) == len(kept["state_dir"]) == 10
    assert found[0]["free"] > 0 and found[0]["days_left"] is None
    disks.look(settings, NOW - 30 * DAY)  # the clock was set back
    assert len(json.loads((tmp_path / "disks.json").read_text())["samples"]["state_dir"]) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"samples": 5}', '{"samples": {"state_dir": [[1, 2], null, "x"]}}'])
def test_damaged_samples_are_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "disks.json").write_text(content)
    assert len(disks.look(Settings(subjects_dir=tmp_path, state_dir=tmp_path), NOW)) == 2


def test_a_state_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    settings = Settings(subjects_dir=tmp_path / "s", state_dir=tmp_path / "t")
    found = disks.look(settings, NOW)
    assert [one["exists"] for one in found] == [False, False] and list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------- the last check


def checked(verdict: str, level: str, *failing: int, toolchain: str = "t") -> dict[str, Any]:
    layers = range(1, 11 if level == "quick" else 16)
    rows = [{"id": f"layer{n}", "layer": n, "status": "fail" if n in failing else "pass", "summary": "", "remedy": ""}
            for n in layers]  # fmt: skip
    return {"verdict": verdict, "level": level, "toolchain": toolchain, "checks": rows}


def test_the_last_check_is_believed(tmp_path: Path) -> None:
    assert last_check.standing(tmp_path, "t") is None
    last_check.record(tmp_path, checked("pass", "full"))
    last_check.record(tmp_path, checked("fail", "quick", 7))
    found = last_check.standing(tmp_path, "t")
    assert found is not None and (found["verdict"], found["level"]) == ("fail", "quick")
    assert [wrong["layer"] for wrong in found["wrong"]] == [7]
    last_check.record(tmp_path, checked("pass", "quick"))
    found = last_check.standing(tmp_path, "t")
    assert found is not None and found["verdict"] == "pass"
    assert last_check.standing(tmp_path, "another") is None


def test_a_quick_check_does_not_mend_what_it_does_not_see(tmp_path: Path) -> None:
    last_check.record(tmp_path, checked("fail", "full", 12))
    last_check.record(tmp_path, checked("pass", "quick"))
    found = last_check.standing(tmp_path, "t")
    assert found is not None and (found["verdict"], found["level"]) == ("fail", "full")
    last_check.record(tmp_path, checked("fail", "full", 3))
    last_check.record(tmp_path, checked("pass", "quick"))
    found = last_check.standing(tmp_path, "t")
    assert found is not None and found["verdict"] == "pass", "layer 3 was looked at again"


@pytest.mark.parametrize("content", ["", "[]", '{"full": 3}', '{"full": {"time": 1, "verdict": "pass"}}'])
def test_a_damaged_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "last-check.json").write_text(content)
    assert last_check.standing(tmp_path, "t") is None
    last_check.record(tmp_path, checked("pass", "full"))
    assert last_check.standing(tmp_path, "t") is not None


def test_a_check_that_looked_at_nothing_says_nothing(tmp_path: Path) -> None:
    """As the daily quick one does on a server without a GPU."""
    last_check.record(tmp_path, checked("pass", "full"))
    nothing = checked("unknown", "quick")
    for check in nothing["checks"]:
        check["status"] = "skip"
    last_check.record(tmp_path, nothing)
    found = last_check.standing(tmp_path, "t")
    assert found is not None and found["verdict"] == "pass"


def test_check_gpu_leaves_its_verdict(lab: Lab) -> None:
    (lab.folder / "state").mkdir()
    lab.json("check-gpu", "--level", "quick")
    assert lab.json("status")["data"]["check"] is None, "none of its layers is about a toolchain without a GPU"
    gpu = {"IBLVIDEO_ADMIN_TOOLCHAIN": "dlc-tf1-cuda10.0"}
    verdict = lab.json("check-gpu", "--level", "quick", **gpu)["data"]["verdict"]
    document = lab.json("status", **gpu)
    assert document["data"]["check"]["verdict"] == verdict != "pass" and document["exit_code"] == 1
    assert any(text.startswith(f"check-gpu says {verdict}: layer") for text in document["data"]["attention"])


# ------------------------------------------------------------------------------------------------- the service


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    (folder / "systemctl").write_text(f"#!{sys.executable}\nprint({says!r})\n")
    (folder / "systemctl").chmod(0o755)
    monkeypatch.setattr(service, "SYSTEMCTL", str(folder / "systemctl"))
    monkeypatch.setattr(service, "RUNS_SYSTEMD", folder)


def test_a_service_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = ("LoadState=loaded", "ActiveState=failed", "SubState=failed", "UnitFileState=enabled", "Result=exit-code",
            "NRestarts=5", "ActiveEnterTimestamp=@1700000000", "InactiveEnterTimestamp=@1700000100")  # fmt: skip
    systemctl(tmp_path, monkeypatch, "\n".join(says))
    found = service.look()
    assert found == {"unit": "iblvideo-admin.service", "active": "failed", "sub": "failed", "enabled": True,
                     "result": "exit-code", "restarts": 5, "since": 1700000100.0}  # fmt: skip
    told = attention.wanted(sample.snapshot() | {"service": found})
    assert any("the service is failed (exit-code): `journalctl" in text for text in told)


@pytest.mark.parametrize("says", ["LoadState=not-found\nActiveState=inactive", "", "nonsense", "LoadState="])
def test_no_such_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    systemctl(tmp_path, monkeypatch, says)
    assert service.look() is None


def test_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RUNS_SYSTEMD", tmp_path / "none")
    assert service.look() is None
    monkeypatch.setattr(service, "RUNS_SYSTEMD", tmp_path)
    monkeypatch.setattr(service, "SYSTEMCTL", "/nonexistent/systemctl")
    assert service.look() is None


# ------------------------------------------------------------------------------------------------- the queue, attention


def test_the_queues_part(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with Ledger(tmp_path) as ledger:
        done, failed, waits = (add_job(ledger, name) for name in "ABC")
        for job, end in (
            (done, Complete(NOW - 60, 6000, 60.0, 100.0)),
            (failed, Errored(NOW - 30, "video.corrupt", "x")),
        ):
            ledger.move(job.id, Started(NOW - 200, 1, "cpu"), "")
            ledger.move(job.id, end, "")
        found = jobs.look(settings, NOW)
        assert [job["id"] for job in found["recent"]] == [failed.id, done.id]
        assert found["last_day"] == {"complete": 1, "failed": 1, "frames": 6000}
        assert found["done"] == {"left": {"jobs": 1, "frames": 6000, "seconds": 100.0}}
        assert found["waiting_s"] == 100.0 and found["waiting_since"] == waits.state.since
        add_job(ledger, "D", "body")
        assert jobs.look(settings, NOW)["waiting_s"] is None, "nobody knows how long a body camera's video takes"
        assert len(attention.wanted(sample.snapshot() | found | {"check": None, "gpus": []})) == 1
        ledger.mark(failed.id, acknowledged=NOW)
        quiet = sample.snapshot() | jobs.look(settings, NOW) | {"check": None, "gpus": []}
        assert attention.wanted(quiet) == []


@pytest.mark.parametrize(("changes", "wanted"), [
    ({"gpus": [sample.gpu(0, lost=True, problem="GPU is lost")]}, "GPU 0 is lost: GPU is lost"),
    ({"gpus": [], "gpus_problem": "Driver Not Loaded"}, "the cards do not answer: Driver Not Loaded"),
    ({"held": "by nobody"}, "the queue is held by nobody"),
    ({"problem": "the ledger cannot be read"}, "the ledger cannot be read"),
    ({"outbox": {"waiting": 2, "oldest": NOW - 3 * DAY, "problem": None}}, "2 messages have waited for Alyx"),
    ({"outbox": {"waiting": 2, "oldest": NOW, "problem": "login refused"}}, "Alyx: login refused"),
])  # fmt: skip
def test_what_needs_a_person(changes: dict[str, Any], wanted: str) -> None:
    quiet = {"gpus": [], "check": None, "failures": [], "running": [], "held": None, "workers": []}
    assert attention.wanted(sample.snapshot() | quiet) == []
    told = attention.wanted(sample.snapshot() | quiet | changes)
    assert len(told) == 1 and wanted in told[0]


@pytest.mark.parametrize(("changes", "wanted"), [
    ({"exists": False}, "there is no subjects_dir /mnt/s0/Data/Subjects"),
    ({"free": None}, "does not answer"),
    ({"free": 5_000_000}, "0.01 GB free: no job is started"),
    ({"days_left": 2.5}, "is full in about 2.5 days"),
])  # fmt: skip
def test_disks_that_need_a_person(changes: dict[str, Any], wanted: str) -> None:
    data = sample.snapshot() | {"gpus": [], "check": None, "failures": [], "running": [], "workers": []}
    data["disks"][0] |= changes
    told = attention.wanted(data)
    assert len(told) == 1 and wanted in told[0]


def test_everything_is_json(lab: Lab) -> None:
    taken = snapshot.take(Settings(state_dir=lab.folder / "none", subjects_dir=lab.subjects, toolchain="dlc-tf1-cpu"))
    json.dumps(taken, allow_nan=False)
    assert not (lab.folder / "none").exists()


# ------------------------------------------------------------------------------------------------- the command


def test_exit_status_is_for_cron(lab: Lab) -> None:
    assert lab.json("status")["exit_code"] == 0
    lab.video("body", 6).path.write_bytes(b"")
    lab.run("process")
    assert lab.json("status")["exit_code"] == 1
    lab.run("queue", "acknowledge", "1")
    assert lab.json("status")["exit_code"] == 0


def test_watch_redraws_until_it_is_told_to_end(lab: Lab) -> None:
    assert lab.json("status", "--watch")["errors"][0]["code"] == "usage"
    with lab.start("status", "--watch", COLUMNS="60") as process:
        assert process.stdout is not None
        for _ in range(200):  # twice the whole screen
            if "attention" in process.stdout.readline():
                break
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err
    assert "attention" in out


@pytest.mark.parametrize("columns", ["20", "40", "400"])
def test_narrow_terminals(lab: Lab, columns: str) -> None:
    lines = lab.run("status", COLUMNS=columns).stdout.splitlines()
    assert lines and max(map(len, lines)) <= int(columns)
