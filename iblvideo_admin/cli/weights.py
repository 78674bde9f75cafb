"""``weights``: the networks that are installed here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iblvideo_admin.cli.options import Json
from iblvideo_admin.result import Result

app = typer.Typer(help="The networks that are installed here.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False) -> Result:
    """The versions that are installed, and which one is in use."""
    from iblvideo_admin import settings
    from iblvideo_admin.engines import weights, weights_tree

    folder = settings.load().weights_dir
    data = {
        "root": str(weights_tree.root(folder)),
        "in_use": weights.version(folder) if folder.is_dir() else None,
        "versions": [tree.as_data() for tree in weights_tree.trees(folder)],
    }
    return Result("weights list", data)


@app.command()
def pull(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As in 2.2.")],
    place: Annotated[
        str, typer.Option("--from", metavar="PLACE", help="auto, s3, http; or a mirror's folder, file or address.")
    ] = "auto",
    sha256: Annotated[str, typer.Option(metavar="HASH", help="What the archive must be.")] = "",
    use: Annotated[bool, typer.Option("--use", help="Track with it from now on; tables that are there stay.")] = False,
    json: Json = False,
) -> Result:
    """Fetch a version of the IBL's networks, and put it beside the others."""
    from iblvideo_admin import settings
    from iblvideo_admin.alyx import weights_pull

    data = weights_pull.pull(version, settings.load(), place=place, sha256=sha256, use=use)
    return Result("weights pull", data)


@app.command()
def verify(json: Json = False) -> Result:
    """Read every file of every version, and compare it with what was installed."""
    from iblvideo_admin import settings
    from iblvideo_admin.engines import weights_tree
    from iblvideo_admin.errors import FAILED, UserError
    from iblvideo_admin.result import Problem

    folder = settings.load().weights_dir
    trees = [weights_tree.look(tree.folder, thorough=True) for tree in weights_tree.trees(folder)]
    errors = [UserError("weights.damaged", f"{tree.folder}: {tree.problem}") for tree in trees if tree.problem]
    if not trees:
        errors = [UserError("weights.missing", f"there are no weights in {weights_tree.root(folder)}")]
    problems = tuple(map(Problem.of, errors))
    return Result("weights verify", {"versions": [tree.as_data() for tree in trees]}, FAILED if errors else 0, problems)


@app.command()
def convert(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A weights folder; without it the configured one.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Run them beside TensorFlow 1.13.1 and refuse what differs.")
    ] = False,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A raw video, for real pictures to --verify with.")
    ] = None,
    json: Json = False,
) -> Result:
    """Convert the networks to ONNX files, which need no TensorFlow.  The weights folder stays as it is."""
    from iblvideo_admin import converting, settings
    from iblvideo_admin.cli.streams import tell

    return converting.convert(settings.load(), folder, verify=verify, video=video, progress=tell)
