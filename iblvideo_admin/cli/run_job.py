"""``run-job DIR``: one job in this process; what a worker starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iblvideo_admin.cli.options import Json
from iblvideo_admin.errors import UserError
from iblvideo_admin.interruption import end_on_sigterm
from iblvideo_admin.result import Problem, Result


def run_job(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The job's folder.")], json: Json = False
) -> Result:
    """Run one job in this process (0 Complete, 75 try again later, anything else final)."""
    from dataclasses import asdict

    from iblvideo_admin import settings
    from iblvideo_admin.queue import run_job as work
    from iblvideo_admin.queue.outcome import TRY_AGAIN

    end_on_sigterm()
    try:
        result = work.run_job(folder, settings.load())
    except KeyboardInterrupt:
        return Result("run-job", {}, TRY_AGAIN, (Problem("interrupted", "interrupted", "Run it again."),))
    except UserError as error:
        exit_code = TRY_AGAIN if error.transient else error.exit_code
        return Result("run-job", {}, exit_code, (Problem.of(error),))
    problems = () if not result.code else (Problem(result.code, result.message, result.remedy),)
    return Result("run-job", asdict(result), result.exit_code, problems)
