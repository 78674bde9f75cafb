"""Names and builds the wheel of this checkout, on the machine that runs Ansible.

    python build_wheel.py name      prints VERSION+SOURCE, SOURCE being the first 12 digits of the sources' sha256
    python build_wheel.py build     builds the wheel, unless that of these sources is there, and prints its path

The sources are copied into a temporary folder first: setuptools would leave a `build` folder in the checkout, and take files
into the next wheel that were deleted since. Needs setuptools, which provision.lock holds.
"""

import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "iblvideo_admin"
BESIDE = ["pyproject.toml", "README.md", "LICENSE"]
KEPT_S = 24 * 3600


def sources() -> list[Path]:
    inside = [p for p in (ROOT / PACKAGE).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return [ROOT / name for name in BESIDE if (ROOT / name).exists()] + sorted(inside)


def name() -> str:
    digest = hashlib.sha256()
    for path in sources():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(ROOT)}\0{content}\n".encode())
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / PACKAGE / "__init__.py").read_text())
    return f"{version[1] if version else '0'}+{digest.hexdigest()[:12]}"


def build() -> Path:
    try:
        from setuptools import build_meta
    except ImportError:
        lock = f"{PACKAGE}/toolchains/provision.lock"
        raise SystemExit(
            f"{sys.executable} has no setuptools: run Ansible from an environment that was made with "
            f"`pip install --require-hashes -r {lock}`"
        ) from None
    out = wheels() / name()
    if made := list(out.glob("*.whl")):
        return made[0]
    out.parent.mkdir(parents=True, exist_ok=True)
    forget_old(out.parent)
    with tempfile.TemporaryDirectory(dir=out.parent) as drafts:
        wheel = make(Path(drafts), build_meta)
        out.mkdir(exist_ok=True)
        os.replace(wheel, out / wheel.name)
    return out / wheel.name


def wheels() -> Path:
    """In the home: what lies there nobody else can replace before it is installed as root."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iblvideo-admin/wheels"


def forget_old(folder: Path) -> None:
    """Other sources' wheels, unless a run of today may be about to copy one."""
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > KEPT_S:
            shutil.rmtree(path, ignore_errors=True)


def make(out: Path, build_meta: Any) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        for path in sources():
            target = Path(folder) / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        os.chdir(folder)
        stdout, sys.stdout = sys.stdout, sys.stderr  # setuptools is talkative
        try:
            return out / build_meta.build_wheel(str(out))
        finally:
            sys.stdout = stdout
            os.chdir("/")


if __name__ == "__main__":
    print(build() if sys.argv[1:] == ["build"] else name())
