"""``config``: which settings are in force, and where they come from."""

from __future__ import annotations

import typer

from iblvideo_admin import settings
from iblvideo_admin.cli.options import Json
from iblvideo_admin.errors import UserError
from iblvideo_admin.files import exists
from iblvideo_admin.result import Result

app = typer.Typer(help="Show the configuration.", no_args_is_help=True)


@app.command()
def show(json: Json = False) -> Result:
    """Every field with the value in force."""
    loaded = settings.load()
    return Result("config show", {"settings": settings.as_data(loaded), "sources": list(loaded.sources)})


@app.command()
def init(json: Json = False) -> Result:
    """Write your own configuration file, every field explained; one that is there stays."""
    file = settings.files()[-1]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="utf-8") as new:
            new.write(settings.template())
    except FileExistsError as error:
        raise UserError("usage", f"{file} is there already", "Edit it; it is never written over.") from error
    except OSError as error:
        raise UserError("settings.invalid", f"{file} cannot be written: {error.strerror}") from error
    return Result("config init", {"file": str(file)})


@app.command()
def path(json: Json = False) -> Result:
    """The files that are looked for, in the order in which they are read."""
    return Result("config path", {"files": [{"path": str(p), "exists": exists(p)} for p in settings.files()]})
