"""An Ansible module: one CUDA toolkit's folder - whose it is, whether it is whole, and what may be done with it.

A folder is ours if our marker lies in it. The marker says `installing` until the toolkit was seen to be whole: what an
installer left that died in the middle is removed and begun anew, and nothing else is ever removed. A toolkit that somebody
else installed is foreign until it is adopted: then only the marker is added.

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
"""

MARKER = ".iblvideo-admin.json"
ELF_64 = b"\x7fELF\x02"


class Refused(Exception):
    """It is not done; the text says why."""


def marker_of(root):
    """{} where there is none; one that was being written counts as installing."""
    try:
        with open(os.path.join(root, MARKER), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError:
        return {"state": "installing"}


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
    if not os.path.lexists(root) or (os.path.isdir(root) and not os.path.islink(root) and not os.listdir(root)):
        return "absent"
    return marker_of(root).get("state", "foreign")


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


def begin(root, link):
    """An empty folder of ours, whose marker remembers where everybody's link leads."""
    found = look(root)
    if found not in ("absent", "installing"):
        raise Refused(root + " is " + found + ": nothing is installed over it")
    before = marker_of(root).get("link", link_of(link)) if found == "installing" else link_of(link)
    if os.path.isdir(root):
        shutil.rmtree(root)
    os.makedirs(root, mode=0o755)
    write_marker(root, {"state": "installing", "link": before})


def finish(root, given):
    missing = missing_of(root, given["folders"], given["libraries"], thorough=True)
    moved = restore(given["link"], marker_of(root).get("link"))
    if not missing:
        write_marker(root, dict(given["about"], state="installed"))
    return {"changed": True, "missing": missing, "moved": moved}


def adopt(root, given):
    missing = missing_of(root, given["folders"], given["libraries"], thorough=True)
    if not missing:
        write_marker(root, dict(given["about"], state="adopted"))
    return {"changed": True, "missing": missing}


def remove(root, found):
    """What we installed goes; of what was adopted only our marker; what is foreign stays."""
    if found in ("installed", "installing"):
        shutil.rmtree(root)
    elif found == "adopted":
        os.unlink(os.path.join(root, MARKER))


def run(given, check_mode):
    root, state = given["root"], given["state"]
    found = look(root)
    if state == "absent":
        changed = found in ("installed", "installing", "adopted")
        if changed and not check_mode:
            remove(root, found)
        return {"changed": changed, "found": found, "missing": []}
    if state == "look":
        whole = found in ("installed", "adopted")
        missing = missing_of(root, given["folders"], given["libraries"], thorough=False) if whole else []
        return {"changed": False, "found": found, "missing": missing}
    if check_mode:
        return {"changed": True, "found": found, "missing": []}
    if state == "begin":
        begin(root, given["link"])
        return {"changed": True, "found": "installing", "missing": []}
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
    try:
        module.exit_json(**run(module.params, module.check_mode))
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
