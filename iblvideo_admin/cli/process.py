"""``process``: find videos, queue them, run the queue, say what became of each."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from iblvideo_admin.cli.options import CameraName, Json, globbed, path
from iblvideo_admin.errors import UserError
from iblvideo_admin.interruption import end_on_sigterm
from iblvideo_admin.result import Result

EngineChoice = Literal["auto", "tensorflow1", "onnx"]
Executor = Literal["local", "slurm"]
Source = Literal["local", "alyx"]


def process(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(parser=path, metavar="[PATH]...", help="Videos, sessions, or folders of sessions."),
    ] = None,
    camera: Annotated[list[CameraName] | None, typer.Option(help="Only these cameras (may be repeated).")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="Override the toolchain's engine.")] = "auto",
    executor: Annotated[Executor, typer.Option(help="Where the jobs run.")] = "local",
    source: Annotated[Source, typer.Option(help="Where the jobs come from.")] = "local",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only sessions of this day or later.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until SIGTERM: look for new sessions, and track them.")
    ] = False,
    gpu: Annotated[
        list[int] | None, typer.Option(min=0, metavar="N", help="Only on this GPU (may be repeated).")
    ] = None,
    windows: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Anchor points by hand, where the network finds nothing.")
    ] = None,
    max_jobs: Annotated[int | None, typer.Option(min=1, help="End after this many jobs.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Track again; the old table is kept aside.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: Json = False,
) -> Result:
    """Track videos: those named, or all new ones in the subjects folder."""
    from dataclasses import replace

    from iblvideo_admin import settings
    from iblvideo_admin.cli.watching import watcher
    from iblvideo_admin.queue import processing

    if executor == "slurm":
        raise UserError("slurm.not_available", "jobs cannot be sent to Slurm by this version")
    if source == "alyx" and (paths or camera or overwrite or windows or engine != "auto"):
        raise UserError("usage", "--source alyx goes with no PATH, --camera, --engine, --windows or --overwrite")
    if overwrite and not paths:
        raise UserError("usage", "--overwrite needs a PATH", "Name what is to be tracked again.")
    if watch and (overwrite or max_jobs or dry_run):
        raise UserError("usage", "--watch goes with neither --overwrite nor --max-jobs nor --dry-run")
    end_on_sigterm()

    def load() -> settings.Settings:
        loaded = settings.load()
        return replace(loaded, gpus=",".join(map(str, gpu))) if gpu else loaded

    day = since.strftime("%Y-%m-%d") if since else ""
    if source == "alyx":
        from iblvideo_admin.alyx import processing as tasks

        if dry_run:
            return tasks.dry_run(load())
        with watcher() as observer:
            if watch:
                return tasks.watch(load, observer, since=day)
            return tasks.process(load(), observer, since=day, max_jobs=max_jobs)
    wishes = processing.Wishes(
        paths=globbed(paths or []),
        cameras=tuple(choice.value for choice in camera or ()),
        engine=engine,
        since=day,
        windows=windows,
        max_jobs=max_jobs,
        overwrite=overwrite,
    )
    if dry_run:
        return processing.dry_run(wishes, load())
    with watcher() as observer:
        return processing.watch(wishes, load, observer) if watch else processing.process(wishes, load(), observer)
