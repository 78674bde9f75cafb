"""Makes every lock file in iblvideo_admin/toolchains/ from the .in files there and from pyproject.toml.

    python tools/locks.py [--upgrade] [--check] [NAME ...]

Versions already in a lock stay as they are unless --upgrade is given. --check changes nothing and exits 1 where a lock
no longer answers its inputs. `uv` resolves; pip installs. No address is written: the hashes say what is meant, and each
machine's own pip configuration says where it comes from.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAINS = ROOT / "iblvideo_admin" / "toolchains"
FINDER = ROOT / "roles" / "python" / "files" / "find_python37.py"

# The versions of Python that the CLI runs on; one lock serves them all.
UNIVERSAL = ["--universal", "--python-version", "3.10"]
ANSIBLE = ["--override", "provision.overrides.in"]


def project(*groups: str) -> str:
    """The project's requirements: `dependencies`, an `extra:NAME` or a `group:NAME`, as a requirements text."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        data = tomllib.load(file)
    lines: list[str] = []
    for group in groups:
        kind, _, name = group.partition(":")
        if kind == "extra":
            lines += data["project"]["optional-dependencies"][name]
        elif kind == "group":
            lines += data["dependency-groups"][name]
        else:
            lines += data["project"]["dependencies"]
    return "\n".join(lines) + "\n"


def plan(name: str) -> tuple[list[str], str, list[str]]:
    """(input files, further requirements, options for uv) of one lock."""
    wheel_build = "wheel-build.in"
    if name.startswith("dlc-tf1"):
        # Real 3.7, because the metadata of three packages comes from running their setup.py.
        options = ["--python", python37(), "--no-annotate"]
        if name != "dlc-tf1-build":
            options += ["--override", "dlc-tf1.overrides.in"]
        return [f"{name}.in"], "", options
    if name == "cli":
        return [], project("dependencies", "extra:onnx-cpu"), UNIVERSAL
    if name == "cli-cuda12":
        return [], project("dependencies", "extra:onnx-cuda12"), UNIVERSAL
    if name == "provision":
        return [wheel_build], project("extra:provision"), [*UNIVERSAL, *ANSIBLE]
    if name == "dev":
        return (
            [wheel_build],
            project("dependencies", "extra:provision", "extra:onnx-cpu", "group:dev"),
            [*UNIVERSAL, *ANSIBLE],
        )
    raise SystemExit(f"unknown lock: {name}")


LOCKS = ("dlc-tf1-build", "dlc-tf1-cpu", "dlc-tf1-cuda10.0", "cli", "cli-cuda12", "provision", "dev")


def python37() -> str:
    done = subprocess.run([sys.executable, str(FINDER)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout.strip()


def clean_environment() -> dict[str, str]:
    """Without the user's extra indexes and local wheels: a lock must hold the public index's hashes only."""
    return {k: v for k, v in os.environ.items() if not re.match(r"(UV|PIP)_(?!CERT)", k)}


def compile_lock(uv: str, name: str, target: Path, upgrade: bool) -> None:
    inputs, further, options = plan(name)
    command = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--no-config",
        "--generate-hashes",
        "--no-header",
        "--output-file",
        str(target),
    ]
    command += options + (["--upgrade"] if upgrade else [])
    with tempfile.TemporaryDirectory() as folder:
        if further:
            extra = Path(folder) / "pyproject.in"
            extra.write_text(further)
            command.append(str(extra))
        subprocess.run([*command, *inputs], cwd=TOOLCHAINS, env=clean_environment(), check=True)
    text = target.read_text().replace(f"-r {folder}/pyproject.in", "pyproject.toml")
    target.write_text(f"# {name}.lock: made by `make locks`; do not edit.\n{text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(LOCKS)}; default: all")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where the inputs allow it")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a lock is stale")
    parser.add_argument("--uv", default="uv", help="the uv to use")
    args = parser.parse_args()
    stale = []
    for name in args.names or LOCKS:
        lock = TOOLCHAINS / f"{name}.lock"
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / lock.name
            old = lock.read_text() if lock.exists() else ""
            if old:
                target.write_text(old)  # uv keeps the versions that it finds there
            compile_lock(args.uv, name, target, args.upgrade)
            new = target.read_text()
        if new == old:
            print(f"{lock.name}: unchanged")
        elif args.check:
            stale.append(lock.name)
        else:
            lock.write_text(new)
            print(f"{lock.name}: written")
    if stale:
        print(f"stale: {', '.join(stale)}; run `make locks`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
