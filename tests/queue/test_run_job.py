"""What a job hands on to the tracking."""

from __future__ import annotations

from lab import Lab

from iblvideo_admin.tracking import table


def test_even_offsets_are_a_setting(lab: Lab) -> None:
    video = lab.video()
    lab.environment["IBLVIDEO_ADMIN_EVEN_OFFSETS"] = "true"
    assert lab.json("process", str(video.path))["exit_code"] == 0
    provenance = table.provenance_of(video.table)
    assert provenance is not None and provenance["even_offsets"] is True
