"""Writes MANIFEST.json of a mirror folder: every file's size and sha256.

    python manifest.py FOLDER

Standard library only. The folder is used only if it has one, so a mirror that was interrupted is none.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

NAME = "MANIFEST.json"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main() -> None:
    root = Path(sys.argv[1])
    files = {
        str(path.relative_to(root)): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != NAME
    }
    new = root / f"{NAME}.new"
    content = {"made": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "files": files}
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(new, root / NAME)


if __name__ == "__main__":
    main()
