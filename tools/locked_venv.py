"""Makes a virtual environment from a lock file, with the module that the roles use too.

    python3 tools/locked_venv.py FOLDER LOCK [--editable PROJECT]

For what runs before there is an Ansible: the developer's environment and the demo's. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

OLDEST = (3, 10)
MODULE = Path(__file__).resolve().parent.parent / "roles" / "base" / "library" / "locked_venv.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("iblvideo_locked_venv", MODULE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def make(folder: Path, lock: Path, editable: Path | None = None) -> bool:
    """True if something had to be made. Raises SystemExit with the reason where it cannot be."""
    ours = module()
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    try:
        changed, _ = ours.make(str(folder), interpreter(), [(lock.name, lock.read_text())], key)
        if editable:
            changed = install_editable(folder, editable) or changed
        ours.prove(str(folder))
    except (ours.Refused, OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{folder} could not be made: {error}") from error
    return bool(changed)


def interpreter() -> str:
    """Not the one of an environment that is switched on: it may be the very one that is to be made anew."""
    return str(getattr(sys, "_base_executable", sys.executable))


def install_editable(folder: Path, project: Path) -> bool:
    """Again only where pyproject.toml changed: the command's entry point and the package's metadata come from it."""
    stamp = folder / ".editable"
    wanted = hashlib.sha256((project / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-input", "--no-deps"]
    options = ["--no-build-isolation", "--disable-pip-version-check", "--editable", str(project)]
    subprocess.run([*command, *options], check=True)
    stamp.write_text(wanted)
    return True


def main() -> int:
    if sys.version_info < OLDEST:
        print(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this is {sys.version.split()[0]}", file=sys.stderr)
        return 3
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--editable", type=Path, help="install this project into it as it is edited")
    args = parser.parse_args()
    made = make(args.folder, args.lock, args.editable)
    print(f"{args.folder}: {'made from' if made else 'already holds'} {args.lock.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
