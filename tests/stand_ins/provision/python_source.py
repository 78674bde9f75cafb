"""Python 3.7's source archive, of which ``./configure``, ``make`` and ``make altinstall`` take seconds.

What they install is a wrapper around an interpreter that lies on the host already.  As with the real source, modules
whose headers the host lacks are left out of it, and only a line in the middle of ``make`` says so.
"""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import Literal

from stand_ins.provision.python_packages import TARGET

_FOLDER = Path(__file__).with_name("python")
Fails = Literal["", "configure", "make", "install"]


def make(folder: Path, version: str = "3.7.17", *, target: str = TARGET, pause_s: float = 0, fails: Fails = "") -> Path:
    """``Python-VERSION.tar.xz`` in this folder.

    ``target`` is the interpreter that runs in the end.  ``pause_s`` is how long ``make`` takes.  ``fails`` names the
    step that ends with an error, half done.
    """
    values = {"TARGET": target, "VERSION": version, "PAUSE_S": str(pause_s), "FAILS": fails}
    values["SHORT"] = ".".join(version.split(".")[:2])
    folder.mkdir(parents=True, exist_ok=True)
    top = f"Python-{version}"
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(folder / f"{top}.tar.xz", "w:xz") as tar:
        tree = Path(scratch) / top
        tree.mkdir()
        for template in _FOLDER.iterdir():
            text = template.read_text()
            for key, value in values.items():
                text = text.replace(f"@{key}@", value)
            (tree / template.name).write_text(text)
            (tree / template.name).chmod(0o755 if text.startswith("#!") else 0o644)
        tar.add(tree, top)
    return folder / f"{top}.tar.xz"
