"""``status``: this server now, once or again and again."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from iblvideo_admin import interruption
from iblvideo_admin.cli.options import Json
from iblvideo_admin.errors import FAILED, INTERRUPTED, UserError
from iblvideo_admin.result import Result

_REDRAW_S = 2.0


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Redraw every two seconds until Ctrl-C.")] = False,
    json: Json = False,
) -> Result:
    """GPUs, queue, running jobs, failures, disks, and what needs a person; exit status 1 where something does."""
    from iblvideo_admin import settings

    if watch and json:
        raise UserError("usage", "--watch goes on, but --json is one document", "Leave out one of them.")
    loaded = settings.load()
    return _watched(loaded) if watch else _result(_taken(loaded))


def _taken(loaded: Any, cards: Any = None) -> dict[str, Any]:
    from iblvideo_admin.reporting import snapshot

    return snapshot.take(loaded, cards)


def _result(data: dict[str, Any]) -> Result:
    return Result("status", data, FAILED if data["attention"] else 0)


def _watched(loaded: Any) -> Result:
    """Redraw in place until somebody has seen enough; what was seen last stays on the terminal."""
    from rich.console import Console
    from rich.live import Live

    from iblvideo_admin.gpu import inventory
    from iblvideo_admin.render.status import screen

    interruption.end_on_sigterm()
    console = Console(file=sys.stdout, highlight=False)
    data: dict[str, Any] | None = None
    cards = None
    try:
        # another screen, as editors use: nothing flickers, and nothing of it stays
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                if cards is None or cards.error != "NoAnswer":  # each question to a stuck driver leaves a thread behind
                    cards = inventory.look(limit_s=_REDRAW_S)
                data = _taken(loaded, cards)
                if console.is_terminal:
                    live.update(screen(data, console.width, watched=True), refresh=True)
                else:
                    console.print(screen(data, console.width))
                time.sleep(_REDRAW_S)
    except KeyboardInterrupt:
        interruption.ignore()
    return Result("status", data or {}, INTERRUPTED)
