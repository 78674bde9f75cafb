"""Makes a virtual environment that holds exactly what lock files name, and leaves one that already does alone.

An Ansible module for the roles; tools/locked_venv.py and demo/run.py use `make()` before there is an Ansible. So there is one
way in which this project builds an environment. Standard library only, Python >= 3.8; the environment's own may be older.

A folder is ours if our marker lies in it. Its `state` is `building` until pip is done, `built` until somebody has proven it
(state: proven), so that an interrupted making begins anew and a failed proof is only proven again. It also names the version
of the interpreter: packages are installed for that one. A virtual environment
cannot be moved: it is built where it stays (and anew if its folder was moved), and it is the caller who switches a link to it.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess

DOCUMENTATION = """
module: locked_venv
short_description: Makes a virtual environment from lock files with hashes
description: [Leaves alone what is not its own, and what already holds what the locks name.]
author: the iblvideo-admin authors
options:
  path: {type: path, required: true, description: The environment's folder.}
  python: {type: path, description: The interpreter to make it from.}
  locks: {type: list, elements: dict, default: [], description: "Installed one after the other: name and text of each."}
  key: {type: str, default: "", description: What the environment stands for; with another key it is made anew.}
  options: {type: list, elements: str, default: [], description: Further options for pip.}
  wheels: {type: path, description: "Take packages from this folder and from nowhere else."}
  index_url: {type: str, default: "", description: "Take packages from this index; it may hold a password."}
  state: {type: str, default: present, description: "present, or proven to write that it was proven."}
"""
EXAMPLES = """
- name: Make it
  locked_venv: {path: /opt/x, python: /usr/bin/python3, key: abc, locks: [{name: a.lock, text: "six==1.17.0 --hash=..."}]}
"""
RETURN = """
state: {type: str, returned: always, description: "absent (check mode), built, or proven"}
"""

MARKER = ".iblvideo-admin.json"
PIP = ["-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check", "--require-hashes", "--no-deps"]


class Refused(Exception):
    """The environment cannot be made; the text says why."""


def read_marker(path):
    """The marker's content, {} where nothing is; raises where something is that is not ours."""
    if not os.path.lexists(path) or (os.path.isdir(path) and not os.listdir(path)):
        return {}
    try:
        with open(os.path.join(path, MARKER), encoding="utf-8") as file:
            marker = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        marker = None
    except ValueError:
        return {"state": "building"}  # the machine died while it was written
    if not isinstance(marker, dict) or marker.get("state") == "adopted":
        raise Refused(
            f"path.taken: {path} exists and was not made by iblvideo-admin: move it away, or choose another place"
        )
    return marker


def write_marker(folder, **content):
    name = os.path.join(folder, MARKER)
    with open(name + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    os.replace(name + ".new", name)


def command(arguments):
    done = subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise Refused(f"{' '.join(arguments)} ended with {done.returncode}:\n{said}")


def version_of(python):
    """As in 3.7; empty where it does not start."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        # without its packages: some ten milliseconds, in every run that changes nothing
        return subprocess.run(
            [python, "-I", "-S", "-c", ask],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            check=True,
            timeout=120,
        ).stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""


def lives(path, marker):
    """Whether its interpreter finds the packages: after an upgrade of the system bin/python may lead to another version, or nowhere."""
    now = version_of(os.path.join(path, "bin", "python"))
    made = marker.get("python")
    if made or not now:
        return bool(now) and now == made
    # a marker of before has no version, but packages lie below it
    packages = glob.glob(os.path.join(glob.escape(path), "lib", "python*"))
    return not packages or os.path.join(path, "lib", "python" + now) in packages


def make(path, python, locks, key, options=(), dry=False):
    """(changed, state). `locks` are (name, text) pairs; the text is kept in the environment, for whoever wonders."""
    path = os.path.abspath(path)
    marker = read_marker(path)
    inside = os.path.join(path, "bin", "python")
    same = marker.get("key") == key and marker.get("path") == path
    if same and marker.get("state") in ("built", "proven") and lives(path, marker):
        return False, marker["state"]
    if dry:
        return True, "absent"
    if os.path.isdir(path):
        shutil.rmtree(path)
    os.makedirs(path, mode=0o755)
    write_marker(path, state="building", key=key, path=path)
    command([python, "-m", "venv", path])
    for name, text in locks:
        lock = os.path.join(path, name)
        with open(lock, "w", encoding="utf-8") as file:
            file.write(text)
        command([inside, *PIP, *options, "--requirement", lock])
    write_marker(path, state="built", key=key, path=path, python=version_of(inside))
    return True, "built"


def prove(path):
    """Writes down that the environment was proven; True if it was not known before."""
    marker = read_marker(path)
    if marker.get("state") == "proven":
        return False
    write_marker(path, **dict(marker, state="proven"))
    return True


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "python": {"type": "path"},
            "locks": {"type": "list", "elements": "dict", "default": []},
            "key": {"type": "str", "default": "", "no_log": False},
            "options": {"type": "list", "elements": "str", "default": []},
            "wheels": {"type": "path"},
            "index_url": {"type": "str", "default": "", "no_log": True},
            "state": {"type": "str", "choices": ["present", "proven"], "default": "present"},
        },
        supports_check_mode=True,
    )
    given = module.params
    os.umask(0o022)  # the service reads it, whatever root's umask
    if given["index_url"]:
        # Ansible's `environment` is part of a command line, which everybody on both machines can read
        os.environ["PIP_INDEX_URL"] = given["index_url"]
    try:
        if given["state"] == "proven":
            module.exit_json(changed=False if module.check_mode else prove(given["path"]), state="proven")
        locks = [(lock["name"], lock["text"]) for lock in given["locks"]]
        options = given["options"] + (["--no-index", "--find-links", given["wheels"]] if given["wheels"] else [])
        changed, state = make(given["path"], given["python"], locks, given["key"], options, module.check_mode)
        module.exit_json(changed=changed, state=state)
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
