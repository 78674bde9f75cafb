"""The reference beside ours on a rendered session: ``python -m bench.reference [--camera left] [--seconds 5]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import iblvideo_admin
from bench.reference.pipeline import available
from bench.reference.rows import rows
from iblvideo_admin.demo.session import render_session
from iblvideo_admin.render import columns
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

ROOT = Path(__file__).resolve().parents[2]
DLC_PYTHON = ROOT / ".cache/dlc-tf1-cpu/current/bin/python"
WEIGHTS = Path(iblvideo_admin.__file__).parent / "demo/weights"


def main() -> int:
    """Render, measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--camera", choices=CAMERAS, action="append", help="default: all")
    options.add_argument("--seconds", type=float, default=5.0, help="length of each video (default: 5)")
    options.add_argument("--python", type=Path, default=DLC_PYTHON, help="Python 3.7 with DeepLabCut 2.1.5.2")
    options.add_argument("--weights", type=Path, default=WEIGHTS, help="networks (default: the demo's)")
    asked = options.parse_args()
    if not available():
        print("SKIPPED: the reference pipeline; it needs the command ffmpeg")
        return 0
    if not asked.python.exists():
        print("SKIPPED: the reference pipeline; `make dlc-venv` builds the environment that it needs")
        return 0
    cameras = asked.camera or list(CAMERAS)
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "reference/2026-01-15/001"
        render_session(session, cameras, asked.seconds)
        for camera in cameras:
            made = rows(Video(session, CAMERAS[camera]), asked.weights, asked.python)
            print("\n".join(columns([(row.what, row.value, row.target, row.figures) for row in made])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
