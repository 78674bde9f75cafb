"""The demo's command line: ``python -m iblvideo_admin.demo render SESSION``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..rigs import CAMERAS
from .difficulty import DEMO_SEED
from .session import Progress, render_session
from .summary import lines, summarize


def parser() -> argparse.ArgumentParser:
    """The command line's parser; a subcommand sets ``run``, which takes the options and returns the exit code."""
    top = argparse.ArgumentParser(prog="python -m iblvideo_admin.demo", description="Synthetic rig videos.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    render = commands.add_parser("render", help="render a session's raw videos and the truth about them")
    render.add_argument("session", type=Path, help="session folder (made if it is not there)")
    render.add_argument("--seconds", type=_positive, default=10.0, help="length of each video (default: 10)")
    render.add_argument(
        "--camera", action="append", choices=list(CAMERAS), metavar="NAME", help="only this one (repeatable)"
    )
    render.add_argument("--seed", type=int, default=DEMO_SEED, help="another seed gives another recording")
    render.set_defaults(run=_render)
    summary = commands.add_parser("summary", help="compare a tracked session with the truth about it")
    summary.add_argument("session", type=Path, help="session folder that was rendered and tracked")
    summary.set_defaults(run=_summary)
    trial = commands.add_parser(
        "smoke", help="track a second of the drawn mouse with this server's set-up; prints JSON"
    )
    trial.add_argument("--scratch", type=Path, help="where the temporary folder goes (default: the system's)")
    trial.add_argument(
        "--remembered", action="store_true",
        help="only say whether it passed within the last week and nothing was changed or restarted since (exit 1: no)",
    )  # fmt: skip
    trial.set_defaults(run=_smoke)
    return top


def progress_lines() -> Progress:
    """A progress function for stderr: one rewritten line on a terminal, else a line per camera and tenth."""
    shares: dict[str, int] = {}
    begin, live = time.monotonic(), sys.stderr.isatty()

    def show(camera: str, done: int, total: int) -> None:
        share = 100 * done // total
        if not live and share < 100 and share // 10 == shares.get(camera, 0) // 10:
            return
        shares[camera] = share
        if live:
            state = "  ".join(f"{name} {percent:3d} %" for name, percent in sorted(shares.items()))
            print(f"\rrendering  {state}  {time.monotonic() - begin:.0f} s", end="", file=sys.stderr, flush=True)
        else:
            print(f"rendering {camera}: {done} of {total} frames", file=sys.stderr, flush=True)

    return show


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"not a length in seconds: {text}")
    return value


def _render(options: argparse.Namespace) -> int:
    try:
        render_session(
            options.session,
            options.camera or tuple(CAMERAS),
            options.seconds,
            options.seed,
            progress=progress_lines(),
        )
    except (OSError, RuntimeError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(options.session)
    return 0


def _summary(options: argparse.Namespace) -> int:
    try:
        print("\n".join(lines(summarize(options.session.absolute()))))
    except UserError as error:
        print(f"error {error.code}: {error.message}. {error.remedy}", file=sys.stderr)
        return error.exit_code
    return 0


def _smoke(options: argparse.Namespace) -> int:
    from . import trial
    from .smoke import run

    # remembered only in a folder of the server's own: what lies in everybody's, anybody may have written
    if options.remembered:
        known = trial.passed(options.scratch) if options.scratch else None
        print(json.dumps(known or {"result": "none", "said": "no trial of this set-up is remembered"}))
        return 0 if known else 1
    answer = run(options.scratch)
    if options.scratch:
        trial.remember(options.scratch, answer)
    print(json.dumps(answer))
    return 1 if answer["result"] == "fail" else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand."""
    options = parser().parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
