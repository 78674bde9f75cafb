"""``report`` from a real state folder: rows, quality, a picture, hostile mice, nothing at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lab import Lab
from reporting import tables

from iblvideo_admin.reporting import chart, gallery
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

HOSTILE = "<script>alert(1)<|script> 'q\" \n & {{ 7*7 }}"


def embedded(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_an_empty_server(lab: Lab) -> None:
    path = lab.folder / "report.html"
    document = lab.json("report", "--html", path)
    assert (document["exit_code"], document["data"]["videos"]) == (0, 0)
    assert "no job yet" in path.read_text(encoding="utf-8")
    assert not (lab.folder / "state").exists()
    assert lab.json("report", "--html", lab.folder / "no/such.html")["errors"][0]["code"] == "output.not_writable"
    assert lab.json("report")["errors"][0]["code"] == "usage"


def test_tracked_failed_and_hostile(lab: Lab) -> None:
    good = lab.video("body", 12)
    lab.video("body", 6, session=lab.session(HOSTILE)).path.write_bytes(b"no video")
    lab.run("process")
    path = lab.folder / "report.html"
    assert lab.json("report", "--html", path)["data"]["videos"] == 2
    page = path.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page and "{{ 7*7 }}" in page, "it is text, to the browser and to the template"
    details, pictures = embedded(page, "details"), embedded(page, "pictures")
    of = {row["id"]: index for index, row in enumerate(details)}
    with_table = details[of[next(row["id"] for row in details if row["points"])]]
    assert [point[0] for point in with_table["points"]] == ["tail_start"] and with_table["log"].startswith("file://")
    assert sum(picture is not None for picture in pictures) == 1
    assert "video.corrupt" in page and "video.corrupt" in lab.run("status").stdout
    kept = list((lab.folder / "scratch/report").iterdir())
    assert len(kept) == 1
    kept[0].write_text('{"quality": {"points": {"x": 5}}, "picture": "<script>", "problem": null}')
    lab.run("report", "--html", path)
    assert "tail_start" in path.read_text(encoding="utf-8"), "what is damaged is looked at anew"
    good.table.unlink()
    lab.run("report", "--html", path)
    assert "its table is gone" in path.read_text(encoding="utf-8")


def test_a_table_without_its_video(lab: Lab) -> None:
    video = lab.video("body", 5)
    tables.tracked(video, 5)
    video.path.write_bytes(b"gone")
    found = gallery.seen(video, lab.folder / "scratch", picture=True)
    assert found["quality"]["frames"] == 5 and found["picture"] is None and "cannot be opened" in found["problem"]
    video.table.write_bytes(b"no table")
    assert gallery.seen(video, lab.folder / "scratch", picture=True)["quality"] is None


def test_a_scratch_folder_that_cannot_be_written(lab: Lab) -> None:
    video = lab.video("body", 5)
    tables.tracked(video, 5)
    found = gallery.seen(video, Path("/proc/none"), picture=False)
    assert found["quality"]["frames"] == 5 and found["picture"] is None


@pytest.mark.parametrize("frames", [0, 1])
def test_short_tables(lab: Lab, frames: int) -> None:
    video = Video(lab.session(), CAMERAS["body"])
    lab.video("body", 3)
    tables.write(video.table, tables.still(frames, tail_start=(5, 5, 1)))
    found = gallery.seen(video, lab.folder / "scratch", picture=True)
    assert found["quality"]["frames"] == frames and found["problem"] is None


def test_the_chart_adds_up() -> None:
    now = 1_795_660_000.0
    done = [(now - day * 86400, camera, 1000) for day in range(40) for camera in CAMERAS]
    drawn = chart.bars(done, now)
    assert len(drawn["bars"]) == 30 * 3 and drawn["any"]
    heights = {round(bar["height"], 1) for bar in drawn["bars"]}
    assert len(heights) == 1 and min(bar["y"] for bar in drawn["bars"]) >= 0
    assert [line["label"] for line in drawn["lines"]] == ["0", "2.5 k", "5 k"]
    assert chart.bars([], now)["any"] is False
