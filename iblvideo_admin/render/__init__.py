"""From a command's result to what a person reads, or to the JSON document.

Text goes to standard output, errors to standard error; every message is one line, whatever a file is called.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from iblvideo_admin.render import (
    check,
    compare,
    config,
    finding,
    label,
    metrics,
    process,
    queue,
    report,
    status,
    weights,
)
from iblvideo_admin.render.text import columns, plain, printable, sentence
from iblvideo_admin.result import Result

__all__ = ["columns", "plain", "printable", "render"]

_TEXT: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "process": process.process,
    "check-gpu": check.check,
    "queue add": process.added,
    "queue list": queue.list_,
    "queue show": queue.show,
    "queue hold": queue.held,
    "queue release": queue.held,
    "queue retry": queue.changed,
    "queue cancel": queue.changed,
    "queue priority": queue.changed,
    "queue acknowledge": queue.changed,
    "queue repair": queue.repaired,
    "queue prune": queue.pruned,
    "report": report.report,
    "status": status.status,
    "find": finding.found,
    "weights list": weights.list_,
    "weights pull": weights.pulled,
    "weights verify": weights.verified,
    "compare": compare.compare,
    "label": label.label,
    "metrics": metrics.metrics,
    "weights convert": weights.converted,
    "config show": config.show,
    "config path": config.path,
    "config init": config.init,
}
_TELLS_WHAT_IS_WRONG = {"check-gpu"}  # its text is one paragraph about just that


def render(result: Result, *, as_json: bool) -> None:
    """Write the result where it belongs."""
    if as_json:
        text = json.dumps(result.document(), allow_nan=False, default=str)
        sys.stdout.write(text + "\n")
        return
    to_text = _TEXT.get(result.command)
    lines = to_text(result.data) if to_text and result.data else []
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    if lines and result.command in _TELLS_WHAT_IS_WRONG:
        return
    for problem in result.errors:
        remedy = f" {problem.remedy}" if problem.remedy else ""
        sys.stderr.write(f"error {problem.code}: {sentence(plain(problem.message))}{plain(remedy)}\n")
