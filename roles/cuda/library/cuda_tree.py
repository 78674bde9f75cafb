"""An Ansible module: one CUDA toolkit's folder - whose it is, whether it is whole, and what may be done with it.

A folder is ours if our marker lies in it. The marker says `installing` until the toolkit was seen to be whole: what an
installer left that died in the middle is removed and begun anew, and nothing else is ever removed. A toolkit that somebody
else installed is foreign until it is adopted: then only the marker is added. A marker that we cannot have written - they are
renamed into place, whole - makes a folder foreign, too.

`/usr/local/cuda` belongs to everybody: what it led to before an installer ran is restored after it.
Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import json
import os
import shutil

DOCUMENTATION = """
module: cuda_tree
short_description: Looks at a CUDA toolkit's folder, and keeps its marker
description: [Never touches a folder without our marker, but for adding one when it is adopted.]
author: the iblvideo-admin authors
options:
  root: {type: path, required: true, description: "The toolkit's folder, as in /usr/local/cuda-10.0."}
  state: {type: str, default: look, description: "look, begin (before an installer), installed (after it), adopted, or absent."}
  folders: {type: list, elements: str, default: [lib64], description: "Where libraries are, below root."}
  libraries: {type: list, elements: str, default: [], description: The files that make it whole.}
  about: {type: dict, default: {}, description: "What to write into the marker: release, sha256."}
  link: {type: path, default: /usr/local/cuda, description: The link that is everybody's.}
"""
EXAMPLES = """
- name: Look
  cuda_tree: {root: /usr/local/cuda-10.0, libraries: [libcudart.so.10.0]}
"""
RETURN = """
found: {type: str, returned: always, description: "absent, installing, installed, adopted or foreign"}
missing: {type: list, returned: always, description: What it lacks.}
packages: {type: list, returned: always, description: "The system packages that it was installed with; empty: none"}
free_gb: {type: float, returned: always, description: Room on its disk.}
"""

MARKER = ".iblvideo-admin.json"
STATES = ("installing", "installed", "adopted")
ELF_64 = b"\x7fELF\x02"


class Refused(Exception):
    """It is not done; the text says why."""


def marker_of(root):
    """{} where there is none of ours."""
    try:
        with open(os.path.join(root, MARKER), encoding="utf-8") as file:
            found = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("state") in STATES else {}


def write_marker(root, content):
    name = os.path.join(root, MARKER)
    with open(name + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.chmod(name + ".new", 0o644)
    os.replace(name + ".new", name)


def problem_of(path, name):
    """Why this is not the library of that name; empty where it is."""
    if not os.path.isfile(path):
        return "a link to nothing" if os.path.islink(path) else "not there"
    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(ELF_64):
        return "no library"
    return "" if name.encode() + b"\0" in content else "another library"


def missing_of(root, folders, libraries, thorough):
    """What is not as it should be, as `lib64/libcublas.so.10.0: not there`; only `thorough` reads the files."""
    found = []
    for name in libraries:
        paths = [os.path.join(root, folder, name) for folder in folders]
        path = next((path for path in paths if os.path.lexists(path)), paths[0])
        problem = problem_of(path, name) if thorough else "" if os.path.isfile(path) else "not there"
        if problem:
            found.append(os.path.relpath(path, root) + ": " + problem)
    return found


def look(root):
    """absent, installing, installed, adopted or foreign."""
    if not os.path.lexists(root):
        return "absent"
    # a marker that was not yet renamed when the host died is as good as nothing
    if os.path.isdir(root) and not os.path.islink(root) and set(os.listdir(root)) <= {MARKER + ".new"}:
        return "absent"
    return marker_of(root).get("state", "foreign")


def room(path):
    """In 10^9 bytes, where it is or would be."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return round(shutil.disk_usage(path).free / 1e9, 1)


def link_of(link):
    """What the link leads to; None: nothing is there; a folder of that name is "" and is nobody's business."""
    if os.path.islink(link):
        return os.readlink(link)
    return "" if os.path.lexists(link) else None


def restore(link, before):
    """True if an installer had moved it."""
    if before == "" or link_of(link) == before:
        return False
    if os.path.islink(link):
        os.unlink(link)
    if before is not None:
        os.symlink(before, link)
    return True


def empty(root):
    """The folder itself stays: a disk of its own may be mounted there."""
    for entry in list(os.scandir(root)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def begun_with(marker, about):
    """Whether a package manager had begun to install this very package here."""
    return bool(about.get("package")) and marker.get("package") == about["package"]


def about_of(marker, about):
    """What came before an interruption belongs to it, too: apt names only what is still to come."""
    if not begun_with(marker, about):
        return about
    packages = marker.get("packages") or []
    return dict(about, packages=packages + [name for name in about.get("packages") or [] if name not in packages])


def begin(root, given):
    """An empty folder of ours, whose marker remembers where everybody's link leads.

    What a package manager had begun stays: it would not put its files there a second time.
    """
    found, marker = look(root), marker_of(root)
    if found not in ("absent", "installing"):
        raise Refused(root + " is " + found + ": nothing is installed over it")
    about = given["about"]
    goes_on = found == "installing" and begun_with(marker, about)
    if os.path.isdir(root) and not goes_on:
        empty(root)
    os.makedirs(root, exist_ok=True)
    os.chmod(root, 0o755)
    before = marker.get("link") if found == "installing" else link_of(given["link"])
    write_marker(root, dict(about_of(marker, about) if goes_on else about, state="installing", link=before))


def finish(root, given):
    missing, marker = missing_of(root, given["folders"], given["libraries"], thorough=True), marker_of(root)
    moved = restore(given["link"], marker.get("link"))
    if not missing:
        write_marker(root, dict(about_of(marker, given["about"]), state="installed"))
    return {"changed": True, "missing": missing, "moved": moved}


def adopt(root, given):
    missing = missing_of(root, given["folders"], given["libraries"], thorough=True)
    if not missing:
        write_marker(root, dict(given["about"], state="adopted"))
    return {"changed": True, "missing": missing}


def remove(root, found, link):
    """What we installed goes; of what was adopted only our marker; what is foreign stays.

    So does what dpkg has and we do not know the packages of: its files would be gone, and dpkg would not put them there again.
    """
    marker = marker_of(root)
    if found == "installing":
        restore(link, marker.get("link"))
    if found == "adopted" or (marker.get("package") and not marker.get("packages")):
        os.unlink(os.path.join(root, MARKER))
    else:
        empty(root)
        if not os.path.ismount(root):
            os.rmdir(root)


def run(given, check_mode):
    root = given["root"]
    marker, result = marker_of(root), dict(act(given, check_mode))
    return dict({"missing": [], "packages": marker.get("packages", [])}, free_gb=room(root), **result)


def act(given, check_mode):
    root, state = given["root"], given["state"]
    found = look(root)
    if state == "absent":
        changed = found in STATES
        if changed and not check_mode:
            remove(root, found, given["link"])
        return {"changed": changed, "found": found}
    if state == "look":
        whole = found in ("installed", "adopted")
        missing = missing_of(root, given["folders"], given["libraries"], thorough=False) if whole else []
        return {"changed": False, "found": found, "missing": missing}
    if check_mode:
        return {"changed": True, "found": found}
    if state == "begin":
        begin(root, given)
        return {"changed": True, "found": "installing"}
    return dict(finish(root, given) if state == "installed" else adopt(root, given), found=look(root))


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["look", "begin", "installed", "adopted", "absent"], "default": "look"},
            "folders": {"type": "list", "elements": "str", "default": ["lib64"]},
            "libraries": {"type": "list", "elements": "str", "default": []},
            "about": {"type": "dict", "default": {}},
            "link": {"type": "path", "default": "/usr/local/cuda"},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)  # every user may read a toolkit, whatever root's files are like
    try:
        module.exit_json(**run(module.params, module.check_mode))
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
