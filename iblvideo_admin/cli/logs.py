"""``queue log``: a job's log, as it is or as it grows."""

from __future__ import annotations

import sys
import time

from iblvideo_admin.errors import UserError
from iblvideo_admin.queue.ledger import Ledger
from iblvideo_admin.render import printable
from iblvideo_admin.result import Result

_LOOK_S = 0.3
_MOST = 1 << 20  # of a document


def log(ledger: Ledger, number: int, *, follow: bool, as_json: bool) -> Result:
    """Print the log; as JSON its end.  Raises ``queue.job_unknown`` and ``queue.not_possible``."""
    job = ledger.job(number)
    path = ledger.paths(number).log
    if job.pruned is not None and not path.exists():
        raise UserError("queue.not_possible", f"the folder of job {number} was pruned, and its log with it")
    place = 0
    text = ""
    while True:
        running = ledger.job(number).state.status == "Started"
        try:
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                if size < place:  # it was cut in its middle
                    place = 0
                if as_json and not place:
                    place = max(size - _MOST, 0)
                file.seek(place)
                added = file.read()
        except FileNotFoundError:  # nothing was printed yet
            added = b""
        place += len(added)
        words = printable(added.decode("utf-8", "replace"))
        if as_json:
            text += words
        else:
            sys.stdout.write(words)
            sys.stdout.flush()
        if not (follow and running):
            break
        time.sleep(_LOOK_S)
    return Result("queue log", {"job": number, "path": str(path), "text": text} if as_json else {})
