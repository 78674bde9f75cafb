"""Which tests workers of pytest-xdist do not share among them: those of the modules that name one ``xdist_group``.

Its own ``--dist loadgroup`` would do this by renaming tests, and does nothing since pytest 9.2.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent


class Groups(LoadScopeScheduling):
    """All others go to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0]) or nodeid


@cache
def _group(module: str) -> str:
    path = ROOT / module
    found = re.search(r'xdist_group\("(\w+)"\)', path.read_text()) if path.is_file() else None
    return found[1] if found else ""


def scheduler(config: Any, log: Any) -> Groups:
    """For the hook of pytest-xdist."""
    return Groups(config, log)
