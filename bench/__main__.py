"""How fast a session is tracked, and where the time goes: ``make bench``, or ``python -m bench [PART ...] [--write]``.

Each part measures in one run what it compares: only ratios of one run mean anything, machines differ and are busy.
The table goes to standard output, and with ``--write`` to ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import shlex
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from bench.measure import Row
from iblvideo_admin.demo.session import render_session
from iblvideo_admin.rigs import CAMERAS
from iblvideo_admin.sessions import Video

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
DLC_PYTHON = ROOT / ".cache/dlc-tf1-cpu/current/bin/python"
WEIGHTS = ROOT / "iblvideo_admin/demo/weights"
PARTS = ("passes", "engine", "engines", "regions", "memory", "jobs", "reference")
ABOUT = """<!-- written by `python -m bench --write` -->

# Performance

CPU seconds count this process, its threads and its ended children. Every row's ratio is of one run; absolute figures
of a busy or virtual machine vary by a fifth. Videos are drawn by the demo, with camera noise that gives frames the size
of a rig's. [tracking.md](tracking.md) has what the rows mean for pixels and memory.

Where a target is missed:

- *Left, decode against everything.* One machine gave 0.82 to 0.92 in seven runs. With the cutting taken out the pass
  gives 0.93 to 0.99; nine tenths of the cutting are swscale's one scaling of the paws' picture, of 40 taps a pixel.
  Tried, with the same pixels, medians in turn with the pass as it is: ffmpeg's own `scale` filter 0.88 against 0.87,
  two threads for the scaling 0.90 against 0.87 and, again, 0.83 against 0.84, libav's frames handed on without arrays
  0.89 against 0.87 and 0.82 against 0.84. Nothing that lies outside the noise.
- *Right, decode against everything.* With the cutting taken out the pass costs what decoding costs; the cutting runs
  11.0 million instructions a frame, nearly all of them swscale's (counted by callgrind: times vary by a third under
  load). Every row and every column of the frame scaled up by two counts in the paws' picture (each tried alone), so
  scaling only the windows would change the result. Tried, with the same pixels:
  - one graph of ffmpeg's filters `hflip`, `scale`, `split`, `scale`: 10.8 million, 0.59 against 0.60 in turn with it;
  - frames handed from scaler to scaler without arrays: 10.9 million, 0.61 against 0.60;
  - scaling up in bands that stay in the processor's cache: 13.4 million for bands of 128 rows, slower with 64;
  - two threads for the scalings: 0.53 against 0.56;
  - swscale's AVX2 code, which it leaves alone on this processor: 1.28 ms against 0.98 ms; its unfinished new code
    (`SWS_UNSTABLE`): no faster.

  Mirroring the windows after scaling is not exact: four columns at the edges differ by up to 7 levels.
- *Region stage at GOP 250.* The 500 samples of an hour lie 432 frames apart, so half a group of pictures has to be
  decoded for each: 29 % of all frames. Skipping those that no other frame refers to saves what the encoder made such,
  here 27 %. Tried, 20 samples at a time:
  - with the same frames: one thread 19.5 to 21.3 % and slice threads 17.5 to 20.7 %, against 20.8 to 23.2 % as it is;
    threads by frames stay, since they are the only ones that shorten the wait where a frame is one slice. Two decoders
    side by side, a thread each: 3 to 11 % less than as it is;
  - skipping every B-frame up to the sample's own few packets: a quarter less on this video, but of five frames of a
    video with x264's `fast` four came out wrong, without a word from the decoder;
  - other frames: each sample moved to the nearest keyframe 0.7 %, moved back by at most a second 12 %. On three drawn
    hours this moves anchors by up to 0.73 and 0.65 px, and three and one of twelve of them to another whole pixel, and
    so their windows: another result, so not done.
- *Points as they are.* The reference's offsets move its points by up to a pixel; ours are right, and lie within
  the targets once the same bias is switched on (`even_offsets`).

"""


def processor() -> str:
    """The CPU's name, as Linux has it."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1].strip() if found else platform.machine()


def circumstances(command: str) -> str:
    """When, how and on what was measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("av", "numpy", "pyarrow"))
    return (
        f"{time.strftime('%Y-%m-%d')}, `{command}`, {processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {packages}.\n"
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [("what", "target", "value", "figures"), ("---",) * 4]
    lines += [(row.what, row.target, f"**{row.value}**", row.figures) for row in rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def measure(part: str) -> list[Row]:
    """The rows of one part; none, with a reason, where what it needs is not installed."""
    if part in ("engine", "engines", "reference") and not DLC_PYTHON.exists():
        print(f"SKIPPED: {part}; `make dlc-venv` builds the environment that it needs", file=sys.stderr)
        return []
    if part == "reference":
        return reference()
    rows: list[Row] = importlib.import_module(f"bench.{part}").rows()
    return rows


def reference() -> list[Row]:
    """Ours and the IBL's way on a session of five seconds."""
    from bench.reference import pipeline
    from bench.reference.rows import rows

    if not pipeline.available():
        print("SKIPPED: reference; it needs the command ffmpeg", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "bench/2026-01-15/001"
        render_session(session, seconds=5)
        return [row for camera in CAMERAS.values() for row in rows(Video(session, camera), WEIGHTS, DLC_PYTHON)]


def main() -> int:
    """Measure, print, write."""
    options = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    options.add_argument("--write", action="store_true", help=f"write {PAGE.parent.name}/{PAGE.name}")
    given = options.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        options.error(f"there is no part {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for part in given.parts or PARTS:
        print(f"measuring: {part}", file=sys.stderr)
        rows += measure(part)
    text = circumstances(shlex.join(["python", "-m", "bench", *sys.argv[1:]])) + "\n" + table(rows)
    print(text, end="")
    if given.write:
        PAGE.write_text(ABOUT + text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
