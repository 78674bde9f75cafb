"""progress.json: how far, how fast, how long still; at most twice a second."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from iblvideo_admin.queue import reporter
from iblvideo_admin.queue.job import JobPaths
from iblvideo_admin.tracking.track import Progress


def test_at_most_twice_a_second_with_rate_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = 100.0, []
    monkeypatch.setattr(reporter.time, "monotonic", lambda: clock)
    monkeypatch.setattr(reporter, "write_hint", lambda path, content: written.append((clock, path, content)))
    report = reporter.Reporter(JobPaths(tmp_path))
    report(Progress("starting", 0, 6000))
    clock = 110.0
    for done in range(6001):
        report(Progress("tracking", done, 6000))
        clock += 0.01  # 100 frames/s
    times = [moment for moment, _, _ in written]
    assert min(after - before for before, after in itertools.pairwise(times)) >= 0.5
    assert 115 <= len(written) <= 125
    assert {path for _, path, _ in written} == {tmp_path / "progress.json"}
    first, middle = written[0][2], written[60][2]
    assert (first["stage"], first["done"], first["fps"], first["eta_s"]) == ("starting", 0, 0.0, None)
    assert middle["stage"] == "tracking" and middle["total"] == 6000
    assert middle["fps"] == pytest.approx(100, rel=0.01)
    assert middle["eta_s"] == pytest.approx((6000 - middle["done"]) / 100, rel=0.01)


def test_what_a_killed_job_left_of_its_progress_goes_with_the_next_attempt(tmp_path: Path) -> None:
    paths = JobPaths(tmp_path)
    for name in ("progress.json", "progress.json.tmp"):
        (tmp_path / name).write_text("{")
    paths.set_aside(1)
    assert list(tmp_path.iterdir()) == []
