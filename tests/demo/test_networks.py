"""The demo networks against the truth, before the median filter, the region network on whole frames among them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from iblvideo_admin.rigs import CAMERAS

ROOT = Path(__file__).parents[2]
# 2 px are not met yet (training/README.md): a small dark disc in a dark iris, on whole frames. It places the eye's
# window of 100 px, for which this is enough; the eye's own network then finds the same point within 1 px.
MISSED = {f"{video} roi_detect pupil_top_r": 4.0 for video in ("left 60 Hz", "left 30 Hz", "right 150 Hz")}


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_every_network_finds_its_points(dlc_python: Path, tmp_path: Path) -> None:
    """In the network's own pixels; a likelihood above 0.9 where a point is seen, below 0.3 where it is hidden."""
    rows_file = tmp_path / "rows.json"
    weights = ROOT / "iblvideo_admin/demo/weights"
    command = [sys.executable, ROOT / "training/judge.py", weights, dlc_python, "--json", rows_file]
    command += ["--seeds", "1", "--seconds", "2", "--regions", "20"]
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=1100)
    assert rows_file.exists(), done.stderr
    rows = {
        " ".join(row.pop(key) for key in ("video", "network", "point")): row
        for row in json.loads(rows_file.read_text())
    }
    side = len(CAMERAS["left"].points) + 4
    assert len(rows) == 3 * side + 2
    missed = {
        name: row
        for name, row in rows.items()
        if not (row["median"] <= MISSED.get(name, 2.0) and row["sure"] >= 0.98 and row["ghosts"] <= 0.02)
    }
    assert missed == {}
