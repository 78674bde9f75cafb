"""An Ansible module: removes what these roles made, and nothing else.

What is ours is told by what it is, not by where it lies: a link that leads below our folders, a folder with our marker
(unless it was adopted), a text that says that it is ours, a name that nobody else gives. Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import errno
import glob
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
  named: {type: list, elements: path, default: [], description: "Ours by their names, whatever they are; shell patterns."}
  empty: {type: list, elements: path, default: [], description: "Folders that go only once they are empty; the inner ones first."}
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
# `.iblvideo-new`: what a switch is called for the moment before it is made
SWITCHES = tuple(name + ending for name in ("current", "previous") for ending in ("", ".iblvideo-new"))
# A folder that is not empty after all, or that a disk is mounted on, stays.
STAYS = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


def is_ours(folder):
    try:
        with open(os.path.join(folder, MARKER), encoding="utf-8") as file:
            marker = json.load(file)
    except OSError:
        return False
    except ValueError:
        return True  # the host died while it was written
    return isinstance(marker, dict) and marker.get("state") != "adopted"


def is_folder(path):
    return os.path.isdir(path) and not os.path.islink(path)


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
        if path not in ours + left:
            (ours if mine else left).append(path)

    for link in given["links"]:
        if os.path.lexists(link):
            sort(link, os.path.islink(link) and leads_below(link, given["below"]))
    for path in given["files"]:
        if os.path.lexists(path):
            sort(path, os.path.isfile(path) and not os.path.islink(path) and says_so(path))
    for pattern in given["named"]:
        for path in [pattern] if os.path.lexists(pattern) else sorted(glob.glob(pattern)):
            sort(path, mine=True)
    for folder in given["folders"]:
        if os.path.isdir(folder):
            sort(folder, is_ours(folder))
    for parent in filter(os.path.isdir, given["parents"]):
        inside = [os.path.join(parent, name) for name in sorted(os.listdir(parent))]
        for path in inside:
            if os.path.islink(path):
                sort(path, os.path.basename(path) in SWITCHES and leads_below(path, [parent]))
            else:
                sort(path, os.path.isdir(path) and is_ours(path))
        if set(inside) <= set(ours):
            sort(parent, mine=True)
    for folder in filter(is_folder, given["empty"]):
        if {os.path.join(folder, name) for name in os.listdir(folder)} <= set(ours):
            sort(folder, mine=True)
    return ours, left


def remove(path, parents):
    """False where it must stay: something arrived in the parent meanwhile, or a disk is mounted there."""
    try:
        if os.path.islink(path) or not os.path.isdir(path):
            os.unlink(path)
        elif path in parents:
            os.rmdir(path)
        else:
            shutil.rmtree(path)
    except OSError as error:
        if error.errno not in STAYS:
            raise
        return False
    return True


def run(given, check_mode):
    """(removed, left)."""
    ours, left = plan(given)
    parents = given["parents"] + given["empty"]
    stays = [] if check_mode else [path for path in ours if not remove(path, parents)]
    return [path for path in ours if path not in stays], left + stays


def main():
    from ansible.module_utils.basic import AnsibleModule

    names = ("links", "below", "folders", "parents", "files", "named", "empty")
    options = {name: {"type": "list", "elements": "path", "default": []} for name in names}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        removed, left = run(module.params, module.check_mode)
        module.exit_json(changed=bool(removed), removed=removed, left=left)
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
