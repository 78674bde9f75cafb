"""An Ansible module: removes what these roles made, and nothing else.

What is ours is told by what it is, not by where it lies: a link that leads below our folders, a folder with our marker
(unless it was adopted), a text that says that it is ours. Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import json
import os
import shutil

DOCUMENTATION = """
module: removed_if_ours
short_description: Removes links, folders and files of these roles
description: [Whatever is not ours stays, and is listed.]
author: the iblvideo-admin authors
options:
  links: {type: list, elements: path, default: [], description: Removed where they lead below one of `below`.}
  below: {type: list, elements: path, default: [], description: Our folders.}
  folders: {type: list, elements: path, default: [], description: "Removed where they hold our marker."}
  parents: {type: list, elements: path, default: [], description: "Each folder in them that holds our marker is removed, and they, once empty."}
  files: {type: list, elements: path, default: [], description: "Removed where they say that they are ours, in their first 2000 bytes."}
"""
EXAMPLES = """
- name: Remove the command
  removed_if_ours: {links: [/usr/local/bin/iblvideo-admin], below: [/opt/iblvideo]}
"""
RETURN = """
removed: {type: list, returned: always, description: What is gone.}
left: {type: list, returned: always, description: "What is there and not ours, or was adopted."}
"""

MARKER, WORDS = ".iblvideo-admin.json", b"iblvideo"


def is_ours(folder):
    try:
        with open(os.path.join(folder, MARKER), encoding="utf-8") as file:
            return json.load(file).get("state") != "adopted"
    except OSError:
        return False
    except ValueError:
        return True


def leads_below(link, folders):
    target = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
    return any(target == folder or target.startswith(folder + os.sep) for folder in map(os.path.normpath, folders))


def says_so(path):
    with open(path, "rb") as file:
        return WORDS in file.read(2000)


def plan(given):
    """(to be removed, to be left), each a list of paths; folders before their parents."""
    ours, left = [], []

    def sort(path, mine):
        (ours if mine else left).append(path)

    for link in given["links"]:
        if os.path.lexists(link):
            sort(link, os.path.islink(link) and leads_below(link, given["below"]))
    for path in given["files"]:
        if os.path.lexists(path):
            sort(path, os.path.isfile(path) and not os.path.islink(path) and says_so(path))
    for folder in given["folders"]:
        if os.path.isdir(folder):
            sort(folder, is_ours(folder))
    for parent in given["parents"]:
        inside = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
        for name in inside:
            path = os.path.join(parent, name)
            sort(
                path, name in ("current", "previous") if os.path.islink(path) else os.path.isdir(path) and is_ours(path)
            )
        if (
            inside
            and all(os.path.join(parent, name) in ours for name in inside)
            or (os.path.isdir(parent) and not inside)
        ):
            ours.append(parent)
    return ours, left


def remove(path):
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)


def main():
    from ansible.module_utils.basic import AnsibleModule

    names = ("links", "below", "folders", "parents", "files")
    options = {name: {"type": "list", "elements": "path", "default": []} for name in names}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        removed, left = plan(module.params)
        for path in [] if module.check_mode else removed:
            remove(path)
        module.exit_json(changed=bool(removed), removed=removed, left=left)
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
