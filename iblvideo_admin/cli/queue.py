"""``queue``: look at the jobs, add, hold, release, retry and cancel them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from iblvideo_admin.cli.options import CameraName, Json, StatusName, duration, globbed, path
from iblvideo_admin.result import Result

app = typer.Typer(help="The jobs.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(metavar="ID", help="The job's number.")]
Numbers = Annotated[list[int], typer.Argument(metavar="ID...", help="The jobs' numbers.")]
PerhapsNumber = Annotated[int | None, typer.Argument(metavar="[ID]", help="A job's number; none: the whole queue.")]


def _with_ledger(work: Callable[[Any], Result]) -> Result:
    from iblvideo_admin import settings
    from iblvideo_admin.queue.ledger import Ledger

    with Ledger(settings.load().state_dir) as ledger:
        return work(ledger)


def _each(command: str, numbers: list[int], work: Callable[[Any, int], Any]) -> Result:
    """Do it to each job; those that do not allow it are told, and hinder no other."""

    def on(ledger: Any) -> Result:
        from iblvideo_admin.errors import UserError
        from iblvideo_admin.result import Problem

        jobs, errors = [], []
        for number in dict.fromkeys(numbers):
            try:
                jobs.append(work(ledger, number).as_data())
            except UserError as error:
                if error.code not in ("queue.job_unknown", "queue.not_possible"):
                    raise
                errors.append(error)
        data = {"jobs": jobs, "counts": ledger.counts()}
        return Result(command, data, errors[0].exit_code if errors else 0, tuple(map(Problem.of, errors)))

    return _with_ledger(on)


@app.command()
def add(
    paths: Annotated[
        list[Path] | None, typer.Argument(parser=path, metavar="[PATH]...", help="Videos, sessions, folders; or globs.")
    ] = None,
    camera: Annotated[list[CameraName] | None, typer.Option(help="Only these cameras (may be repeated).")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only sessions of this day or later.")
    ] = None,
    below_weights: Annotated[
        str,
        typer.Option(metavar="V", help="Track again what weights older than this made; the old table is kept aside."),
    ] = "",
    windows: Annotated[Path | None, typer.Option(metavar="FILE", help="Anchor points by hand.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Track again; the old table is kept aside.")] = False,
    priority_: Annotated[int, typer.Option("--priority", help="Higher ones are started first.")] = 0,
    json: Json = False,
) -> Result:
    """Queue videos without waiting for them; one that has a job already gets no second one."""
    from iblvideo_admin import settings
    from iblvideo_admin.errors import UserError
    from iblvideo_admin.queue import processing

    if not paths and not below_weights:
        raise UserError("usage", "queue add needs a PATH, or --below-weights for the whole subjects folder")
    wishes = processing.Wishes(
        paths=globbed(paths or []),
        cameras=tuple(choice.value for choice in camera or ()),
        since=since.strftime("%Y-%m-%d") if since else "",
        windows=windows,
        overwrite=overwrite,
        below=below_weights,
        priority=priority_,
    )
    return processing.add(wishes, settings.load())


@app.command("list")
def list_(
    status: Annotated[
        list[StatusName] | None, typer.Option(case_sensitive=False, help="Only these statuses (may be repeated).")
    ] = None,
    camera: Annotated[list[CameraName] | None, typer.Option(help="Only these cameras (may be repeated).")] = None,
    subject: Annotated[str, typer.Option(help="Only this subject; * stands for anything.")] = "",
    date: Annotated[str, typer.Option(help="Only this day, month or year, as in 2026-01.")] = "",
    code: Annotated[str, typer.Option(help="Only this error code; * stands for anything.")] = "",
    limit: Annotated[int | None, typer.Option(min=0, help="Only so many of the newest.")] = None,
    json: Json = False,
) -> Result:
    """All jobs, or some."""

    def work(ledger: Any) -> Result:
        from iblvideo_admin.queue.listing import Choice, choose

        chosen = Choice(
            tuple(choice.value for choice in status or ()),
            tuple(choice.value for choice in camera or ()),
            subject,
            date,
            code,
            limit,
        )
        jobs = [job.as_data() for job in choose(ledger, chosen)]
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
def log(
    number: Number,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    json: Json = False,
) -> Result:
    """What a job and its engine printed."""

    def work(ledger: Any) -> Result:
        from iblvideo_admin.cli import logs

        return logs.log(ledger, number, follow=follow, as_json=json)

    return _with_ledger(work)


@app.command()
def hold(
    number: PerhapsNumber = None,
    why: Annotated[str, typer.Option(help="The reason, for whoever looks.")] = "",
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="As in 2h, 30m or 1d12h; then it ends by itself.")
    ] = "",
    json: Json = False,
) -> Result:
    """Start no more jobs (running ones go on), or not this one."""
    seconds = duration(for_) if for_ else 0.0

    def work(ledger: Any) -> Result:
        import time

        from iblvideo_admin.queue import hands

        until = time.time() + seconds if seconds else 0.0
        if number is None:
            ledger.hold(True, why, until)
        else:
            hands.hold(ledger, number, why, until)
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


@app.command()
def retry(numbers: Numbers, json: Json = False) -> Result:
    """Try failed or cancelled jobs again, and at once those that wait for their next try."""
    from iblvideo_admin.queue import hands

    return _each("queue retry", numbers, hands.retry)


@app.command()
def cancel(numbers: Numbers, json: Json = False) -> Result:
    """Give jobs up; running ones are ended."""
    from iblvideo_admin.queue import hands

    return _each("queue cancel", numbers, hands.cancel)


@app.command(context_settings={"ignore_unknown_options": True})
def priority(
    number: Number, value: Annotated[int, typer.Argument(metavar="N", help="Usual is 0.")], json: Json = False
) -> Result:
    """Jobs of a higher priority are started first."""
    from iblvideo_admin.queue import hands

    return _each("queue priority", [number], lambda ledger, each: hands.priority(ledger, each, value))


@app.command()
def acknowledge(numbers: Numbers, json: Json = False) -> Result:
    """Say that you know of these failures: `status` no longer asks for attention."""
    from iblvideo_admin.queue import hands

    return _each("queue acknowledge", numbers, hands.acknowledge)


@app.command()
def repair(json: Json = False) -> Result:
    """Make the ledger agree with the job folders, and say what was changed."""
    from iblvideo_admin import settings
    from iblvideo_admin.queue import repair as work

    ledger, changes = work.open_repaired(settings.load())
    with ledger:
        data = {"changes": [change.as_data() for change in changes], "counts": ledger.counts(), "held": ledger.held()}
        return Result("queue repair", data)


@app.command()
def prune(
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Only jobs that ended so long ago.")] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    json: Json = False,
) -> Result:
    """Remove the folders (logs, results) of jobs that ended long ago; tables and the list of jobs stay."""

    def work(ledger: Any) -> Result:
        from iblvideo_admin.queue import prune as pruning

        jobs = (pruning.prunable if dry_run else pruning.prune)(ledger, older_than)
        return Result("queue prune", {"dry_run": dry_run, "jobs": [job.id for job in jobs]})

    return _with_ledger(work)


def _after(command: str, ledger: Any, number: int | None) -> Result:
    data: dict[str, Any] = {"held": ledger.held(), "counts": ledger.counts()}
    if number is not None:
        data["job"] = ledger.job(number).as_data()
    return Result(command, data)
