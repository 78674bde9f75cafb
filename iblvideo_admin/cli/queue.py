"""``queue``: look at the jobs, hold and release them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from iblvideo_admin.cli.options import CameraName, Json, StatusName
from iblvideo_admin.result import Result

app = typer.Typer(help="The jobs.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(metavar="ID", help="The job's number.")]
PerhapsNumber = Annotated[int | None, typer.Argument(metavar="[ID]", help="A job's number; none: the whole queue.")]


def _with_ledger(work: Callable[[Any], Result]) -> Result:
    from iblvideo_admin import settings
    from iblvideo_admin.queue.ledger import Ledger

    with Ledger(settings.load().state_dir) as ledger:
        return work(ledger)


@app.command("list")
def list_(
    status: Annotated[
        list[StatusName] | None, typer.Option(case_sensitive=False, help="Only these statuses (may be repeated).")
    ] = None,
    camera: Annotated[list[CameraName] | None, typer.Option(help="Only these cameras (may be repeated).")] = None,
    json: Json = False,
) -> Result:
    """All jobs, or some."""

    def work(ledger: Any) -> Result:
        cameras = {choice.value for choice in camera or ()}
        jobs = [
            job.as_data()
            for job in ledger.jobs(*(choice.value for choice in status or ()))
            if not cameras or job.camera in cameras
        ]
        return Result("queue list", {"jobs": jobs, "counts": ledger.counts(), "held": ledger.held()})

    return _with_ledger(work)


@app.command()
def show(number: Number, json: Json = False) -> Result:
    """One job: what was asked, what happened, where its files are."""

    def work(ledger: Any) -> Result:
        job = ledger.job(number)
        events = [vars(event) for event in ledger.events(number)]
        paths = ledger.paths(number)
        files = sorted(str(path) for path in paths.folder.iterdir()) if paths.folder.is_dir() else []
        return Result("queue show", {"job": job.as_data(), "events": events, "files": files})

    return _with_ledger(work)


@app.command()
def hold(
    number: PerhapsNumber = None,
    why: Annotated[str, typer.Option(help="The reason, for whoever looks.")] = "",
    json: Json = False,
) -> Result:
    """Start no more jobs (running ones go on), or not this one."""

    def work(ledger: Any) -> Result:
        from iblvideo_admin.queue import hands

        if number is None:
            ledger.hold(True, why)
        else:
            hands.hold(ledger, number, why)
        return _after("queue hold", ledger, number)

    return _with_ledger(work)


@app.command()
def release(number: PerhapsNumber = None, json: Json = False) -> Result:
    """Let the queue run again, or this job."""

    def work(ledger: Any) -> Result:
        from iblvideo_admin.queue import hands

        if number is None:
            ledger.hold(False)
        else:
            hands.release(ledger, number)
        return _after("queue release", ledger, number)

    return _with_ledger(work)


def _after(command: str, ledger: Any, number: int | None) -> Result:
    data: dict[str, Any] = {"held": ledger.held(), "counts": ledger.counts()}
    if number is not None:
        data["job"] = ledger.job(number).as_data()
    return Result(command, data)
