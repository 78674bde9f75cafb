"""The command line: parses, calls, renders.  No logic lives here; heavy imports happen in the commands."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from iblvideo_admin import __version__
from iblvideo_admin.cli import check_gpu, config, process, queue, run_job, status
from iblvideo_admin.errors import CATALOGUE, INTERRUPTED, UserError
from iblvideo_admin.render import render
from iblvideo_admin.result import Result

# typer brings its own copy of click's exceptions or click itself, by version: both are this one's parent
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    help="Checks and runs the DeepLabCut video tracking of an IBL lab server.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check-gpu")(check_gpu.check_gpu)
app.command("process")(process.process)
app.add_typer(queue.app, name="queue")
app.command("run-job")(run_job.run_job)
app.command("status")(status.status)
app.add_typer(config.app, name="config")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Show the version and end.")) -> None:
    if version:
        typer.echo(f"iblvideo-admin {__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status.  Every foreseeable failure is one message, never a trace."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    name = _command(words)
    try:
        outcome = app(args=words, standalone_mode=False, prog_name="iblvideo-admin")
    except _UsageError as error:
        return _usage(error, name, as_json)
    except UserError as error:
        outcome = Result.failure(name, error)
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone: nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001  a bug: shown as one, still one document
        traceback.print_exc()
        outcome = Result.failure(name, UserError("bug", f"{type(error).__name__}: {error}"))
    if outcome == INTERRUPTED:  # typer, by version, raises or returns it
        outcome = Result.failure(name, UserError("interrupted", "the command was interrupted"))
    if not isinstance(outcome, Result):
        return int(outcome or 0)
    try:
        render(outcome, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return outcome.exit_code


def _usage(error: Exception, name: str, as_json: bool) -> int:
    message = getattr(error, "format_message", lambda: str(error))()
    if "NoArgsIsHelp" in type(error).__name__:  # its message is the whole help
        typer.echo(message)
        message = "a command is missing"
        if not as_json:
            return CATALOGUE["usage"].exit_code
    context = getattr(error, "ctx", None)
    helped = f"{context.command_path} --help" if context is not None else "iblvideo-admin --help"
    result = Result.failure(name, UserError("usage", message, f"See `{helped}`."))
    render(result, as_json=as_json)
    return result.exit_code


def _command(words: Sequence[str]) -> str:
    """The command's name as typed, for the document of a command that never got so far."""
    groups = {group.name for group in app.registered_groups}
    names = [word for word in words if not word.startswith("-")]
    return " ".join(names[: 2 if names[:1] and names[0] in groups else 1])
