"""Writes the reference pages that are made from the code: errors, settings, toolchains' status keys.

``python tools/reference.py`` writes them; ``--check`` only says whether they are up to date.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from iblvideo_admin.errors import CATALOGUE
from iblvideo_admin.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- made by tools/reference.py from the code; change it there -->\n\n"


def errors() -> str:
    """Every error code."""
    lines = [
        NOTE,
        "# Errors\n\n",
        "Every failure that can be foreseen has one of these codes: in the message, in `errors` of the `--json`\n"
        "document, in a job's state. *Exit* is the exit status of a command that ends with it; a job that ends with a\n"
        "*passing* error is tried again by itself, at most three times.\n\n",
        "| code | exit | passing | what happened | what to do |\n|---|---|---|---|---|\n",
    ]
    for code, kind in CATALOGUE.items():
        passing = "yes" if kind.transient else ""
        cells = (f"`{code}`", str(kind.exit_code), passing, kind.meaning, kind.remedy)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    lines.append("\n`check-gpu` reports a failed layer as `check.<layer>`, with what was seen and the remedy.\n")
    return "".join(lines)


def settings() -> str:
    """Every field of the configuration."""
    lines = [
        NOTE,
        "# Settings\n\n",
        "Read from `/etc/iblvideo-admin/config.toml`, then `~/.config/iblvideo-admin/config.toml`, then the\n"
        "environment (`IBLVIDEO_ADMIN_<FIELD>` in capitals); later wins. `IBLVIDEO_ADMIN_CONFIG` names another file\n"
        "to be read instead of the two. Paths are absolute. `iblvideo-admin config show` prints what is in force.\n\n",
        "| field | default | meaning |\n|---|---|---|\n",
    ]
    empty = Settings()
    for field in fields(Settings):
        if field.name == "sources":
            continue
        default = getattr(empty, field.name)
        shown = "" if default in (None, "", {}, ()) else f"`{default}`"
        lines.append(f"| `{field.name}` | {shown} | {field.metadata['meaning']} |\n")
    return "".join(lines)


PAGES = {"errors.md": errors, "settings.md": settings}


def main() -> int:
    """Write or check the pages."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, make in PAGES.items():
        path = DOCS / name
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != make():
                stale.append(name)
        else:
            path.write_text(make(), encoding="utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
