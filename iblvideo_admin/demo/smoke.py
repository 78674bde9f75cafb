"""Does this server track?  A second of the drawn mouse goes through the installed command, and must be found again.

What check-gpu judges layer by layer is run here as one whole: queue, lease, decoder, engine, filter, table.  The
server's own queue and sessions are not touched: everything lies in a folder that is removed afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..errors import UserError
from .session import render_session
from .summary import summarize

CAMERA, SECONDS = "body", 1.0
SURE_PX = 4.0
"""The demo's networks find the point within 1.2 px in the median (README); a wrong card is off by tens."""
LIMIT_S = 600.0
_WEIGHTS = Path(__file__).resolve().parent / "weights"


def run(scratch: Path | None = None, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Track it with this server's toolchain and the demo's networks: ``result`` is pass, fail or skip, ``said`` why."""
    with tempfile.TemporaryDirectory(prefix="smoke-", dir=scratch) as name:
        folder = Path(name)
        session = folder / "Subjects/drawn_mouse/2026-01-15/001"
        render_session(session, [CAMERA], SECONDS)
        command = [sys.executable, "-m", "iblvideo_admin", "process", "--json", str(session)]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=_environment(folder), cwd="/", stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                process.terminate()  # it ends its job, which would otherwise keep a card
                process.communicate()
                return _late(folder, limit_s)
        return _judge(subprocess.CompletedProcess(command, process.returncode, stdout, stderr), session)


def _late(folder: Path, limit_s: float) -> dict[str, Any]:
    """Only a job that was never started has waited for a card."""
    if any((folder / "state/jobs").glob("*/progress.json")):
        return {"result": "fail", "said": f"the job did not end within {limit_s:.0f} s"}
    return {"result": "skip", "said": f"no card was free within {limit_s:.0f} s"}


def _environment(folder: Path) -> dict[str, str]:
    """The server's settings, but for what would touch its queue.  Locks are its own: any job asks for a card."""
    places = {"SUBJECTS_DIR": "Subjects", "STATE_DIR": "state", "SCRATCH_DIR": "scratch"}
    ours = {f"IBLVIDEO_ADMIN_{field}": str(folder / place) for field, place in places.items()}
    return {**os.environ, **ours, "IBLVIDEO_ADMIN_WEIGHTS_DIR": str(_WEIGHTS), "IBLVIDEO_ADMIN_HOURS": "always"}


def _judge(done: subprocess.CompletedProcess[bytes], session: Path) -> dict[str, Any]:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        return {"result": "fail", "said": f"process ended with {done.returncode}: {said}"}
    if answer["errors"]:
        first = answer["errors"][0]
        return {"result": "fail", "said": f"{first['code']}: {first['message']}"}
    try:
        (camera,) = summarize(session)
    except UserError as error:  # the job was given back: nothing failed, and there is no table
        return {"result": "fail", "said": error.message}
    off = max(point.median for point in camera.points)
    said = f"{camera.frames} frames, {camera.fps:.0f} frames/s, {off:.1f} px off the truth"
    return {"result": "pass" if off <= SURE_PX else "fail", "said": said}
