"""``config``: which settings are in force, and where they come from."""

from __future__ import annotations

import typer

from iblvideo_admin import settings
from iblvideo_admin.cli.options import Json
from iblvideo_admin.files import exists
from iblvideo_admin.result import Result

app = typer.Typer(help="Show the configuration.", no_args_is_help=True)


@app.command()
def show(json: Json = False) -> Result:
    """Every field with the value in force."""
    loaded = settings.load()
    return Result("config show", {"settings": settings.as_data(loaded), "sources": list(loaded.sources)})


@app.command()
def path(json: Json = False) -> Result:
    """The files that are looked for, in the order in which they are read."""
    return Result("config path", {"files": [{"path": str(p), "exists": exists(p)} for p in settings.files()]})
