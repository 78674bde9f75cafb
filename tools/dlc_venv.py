"""Builds the tests' tracking environment below .cache/ by running the roles base, python and dlc on this machine.

    .venv/bin/python tools/dlc_venv.py [NAME OF A TOOLCHAIN]

There is no second way of building it: what the tests use is what a server gets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    toolchain = sys.argv[1] if len(sys.argv) > 1 else "dlc-tf1-cpu"
    cache = ROOT / ".cache"
    given = {
        "toolchain": toolchain,
        "demo_folder": str(cache),
        "dlc_envs_dir": str(cache),
        "python37_executable": os.environ.get("PYTHON37", ""),
    }
    env = dict(
        os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_HOME=str(cache / "ansible"), LC_ALL="C.UTF-8"
    )
    # Only what changes is shown, and only when it is done.
    env.update(ANSIBLE_DISPLAY_OK_HOSTS="0", ANSIBLE_DISPLAY_SKIPPED_HOSTS="0")
    print(f"{cache / toolchain}: a few minutes the first time, a few seconds afterwards", flush=True)
    playbook = [sys.executable, str(Path(sys.executable).parent / "ansible-playbook")]
    playbook += ["-i", str(ROOT / "demo" / "inventory"), "--extra-vars", json.dumps(given)]
    return subprocess.run(
        [*playbook, str(ROOT / "playbooks" / "environment.yml")], cwd=ROOT, env=env, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
