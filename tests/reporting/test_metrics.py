"""Prometheus text: whole, parsed back, and what the documentation and the alerts speak of."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from reporting import sample

from iblvideo_admin.errors import UserError
from iblvideo_admin.reporting import metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"


def parsed(snapshot: dict[str, Any]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.text(snapshot))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(found: dict[Any, float], name: str, **labels: str) -> float | None:
    return found.get((f"iblvideo_{name}", frozenset(labels.items())))


def test_what_a_busy_server_says() -> None:
    found = parsed(sample.snapshot())
    assert value(found, "jobs", status="Waiting") == 12
    assert value(found, "attention") == 2
    assert value(found, "check_verdict", verdict="fail") == 1 and value(found, "check_verdict", verdict="pass") == 0
    assert value(found, "complete_frames", camera="left") == 90_000_000
    assert value(found, "running_frames_per_second", job="71", camera="left") == 61.2
    assert value(found, "stuck_jobs") == 1
    assert value(found, "failures", code="video.corrupt") == 1, "an acknowledged failure is none"
    assert value(found, "disk_days_left", folder="subjects_dir", path="/mnt/s0/Data/Subjects") == 13.3
    assert value(found, "outbox_waiting") == 3


def test_what_is_not_reported_has_no_sample() -> None:
    found = parsed(sample.snapshot())
    names = {name for name, labels in found if ("gpu", "1") in labels}
    assert names == {"iblvideo_gpu_lost"}
    empty = sample.snapshot() | {"check": None, "service": None, "outbox": None, "last_complete": None, "gpus": [],
                                 "waiting_since": None, "running": [], "done": {}, "failures": []}  # fmt: skip
    bare = {name for name, _ in parsed(empty)}
    for name in ("check_timestamp_seconds", "service_active", "outbox_waiting", "last_complete_timestamp_seconds"):
        assert f"iblvideo_{name}" not in bare


@settings(deadline=None)
@given(st.text())
def test_any_path_survives(path: str) -> None:
    snapshot = sample.snapshot()
    snapshot["disks"][0]["path"] = path
    labels = [dict(labels) for name, labels in parsed(snapshot) if name == "iblvideo_disk_free_bytes"]
    assert {"folder": "subjects_dir", "path": path} in labels


def test_every_metric_is_documented_with_its_labels() -> None:
    families = list(text_string_to_metric_families(metrics.text(sample.snapshot())))
    rows = {
        f"| `{family.name}` | {' '.join(f'`{name}`' for name in family.samples[0].labels)} | {family.documentation} |"
        for family in families
    }
    text = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    told = text.split("<!-- metrics: tested against the code -->")[1].split("<!-- /metrics -->")[0]
    assert set(told.strip().splitlines()[2:]) == rows


def test_the_alerts_speak_of_metrics_that_there_are() -> None:
    rules = yaml.safe_load((DOCS / "monitoring/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    there = {name for name, _ in parsed(sample.snapshot())}
    labels = {label for _, all_of in parsed(sample.snapshot()) for label in all_of}
    assert len(rules) >= 10
    for rule in rules:
        named = set(re.findall(r"iblvideo_\w+", rule["expr"]))
        assert named and named <= there, rule["alert"]
        for name, wanted in re.findall(r"(\w+)=\"(\w+)\"", rule["expr"]):
            assert (name, wanted) in labels
        assert rule["annotations"]["remedy"]
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label == "instance" or label in {name for name, _ in labels}, rule["alert"]
        command = re.search(r"iblvideo-admin ((?:queue )?[a-z-]+)", rule["annotations"]["remedy"])
        assert command is None or command[1] in {"status", "check-gpu", "queue list", "queue log"}


def test_a_file_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "iblvideo.prom"
    metrics.write(sample.snapshot(), path)
    assert path.stat().st_mode & 0o777 == 0o644
    before = path.read_text()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError) as caught:
        metrics.write(sample.snapshot() | {"time": 1.0}, path)
    assert caught.value.code == "disk.full"
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError) as caught:
        metrics.write(sample.snapshot(), tmp_path / "no/such/folder.prom")
    assert caught.value.code == "output.not_writable"
