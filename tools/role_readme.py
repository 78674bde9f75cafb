"""Writes the table of variables in every role's README from its meta/argument_specs.yml.

python tools/role_readme.py [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- variables: made by `make docs` -->", "<!-- /variables -->"


def options(role: Path) -> dict[str, Any]:
    text = (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["argument_specs"]["main"]["options"])


def table(role: Path) -> str:
    lines = ["| variable | type | default | what it is |", "|---|---|---|---|"]
    for name, spec in options(role).items():
        lines.append(f"| `{name}` | {spec['type']} | {shown(spec['default'])} | {spec['description']} |")
    return "\n".join(lines)


def shown(default: object) -> str:
    """`as ansible_become` and the like are sentences, everything else is a value."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    text = str(default)
    return text if " " in text else f"`{text}`" if text else "empty"


def wanted(role: Path) -> str:
    text = (role / "README.md").read_text(encoding="utf-8")
    return re.sub(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{table(role)}\n{END}", text, flags=re.DOTALL
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a table is stale")
    check = parser.parse_args().check
    stale = []
    for role in sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir()):
        readme = role / "README.md"
        text = wanted(role)
        if text != readme.read_text(encoding="utf-8"):
            stale.append(str(readme.relative_to(ROOT)))
            if not check:
                readme.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'stale' if check else 'written'}: {', '.join(stale)}", file=sys.stderr if check else sys.stdout)
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
