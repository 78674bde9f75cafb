"""The command line: parses, calls, renders.  No logic lives here; heavy imports happen in the commands."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import typer

from iblvideo_admin import __version__, interruption
from iblvideo_admin.cli import (
    check_gpu,
    compare,
    config,
    find,
    label,
    metrics,
    process,
    queue,
    report,
    run_job,
    status,
    streams,
    weights,
)
from iblvideo_admin.errors import CATALOGUE, FAILED, INTERRUPTED, UserError
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
app.command("find")(find.find)
app.command("compare")(compare.compare)
app.command("label")(label.label)
app.command("report")(report.report)
app.command("metrics")(metrics.metrics)
app.add_typer(weights.app, name="weights")
app.add_typer(config.app, name="config")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Show the version and end.")) -> None:
    if version:
        typer.echo(f"iblvideo-admin {__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status.  Every foreseeable failure is one message, never a trace."""
    streams.make_ready()
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    outcome = _outcome(words, as_json)
    exit_code = outcome.exit_code if isinstance(outcome, Result) else int(outcome or 0)
    if isinstance(outcome, Result):
        with suppress(OSError):  # finish() finds it again
            render(outcome, as_json=as_json)
    lost = streams.finish()
    if lost is None or isinstance(lost, BrokenPipeError):  # whoever read our output has gone, and needs no more
        return exit_code
    with suppress(OSError):
        print(f"the output cannot be written: {lost.strerror}", file=sys.stderr)
    return exit_code or FAILED


def _outcome(words: Sequence[str], as_json: bool) -> Any:
    """The command's result, whatever way it ends; a number where it has said all itself (help, version)."""
    name = _command(words)
    try:
        outcome = app(args=list(words), standalone_mode=False, prog_name="iblvideo-admin")
    except _UsageError as error:
        return _usage(error, name, as_json)
    except UserError as error:
        return Result.failure(name, error)
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except BrokenPipeError:
        return FAILED
    except Exception as error:  # noqa: BLE001  a bug: shown as one, still one document
        with suppress(OSError):
            traceback.print_exc()
        return Result.failure(name, UserError("bug", f"{type(error).__name__}: {error}"))
    if outcome == INTERRUPTED:  # typer, by version, raises or returns it
        interruption.ignore()  # a second one must not cut the document
        return Result.failure(name, UserError("interrupted", "the command was interrupted"))
    return outcome


def _usage(error: Exception, name: str, as_json: bool) -> Result | int:
    message = getattr(error, "format_message", lambda: str(error))()
    if "NoArgsIsHelp" in type(error).__name__:  # its message is the whole help
        typer.echo(message)
        message = "a command is missing"
        if not as_json:
            return CATALOGUE["usage"].exit_code
    context = getattr(error, "ctx", None)
    helped = f"{context.command_path} --help" if context is not None else "iblvideo-admin --help"
    return Result.failure(name, UserError("usage", message, f"See `{helped}`."))


def _command(words: Sequence[str]) -> str:
    """The command's name as typed, for the document of a command that never got so far."""
    groups = {group.name for group in app.registered_groups}
    names = [word for word in words if not word.startswith("-")]
    return " ".join(names[: 2 if names[:1] and names[0] in groups else 1])
