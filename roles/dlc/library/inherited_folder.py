"""An Ansible module: makes folders that are missing, each with the owner and the group of the one that it is made in.

So a folder below somebody's home is that person's, although root made it. That person may change things there meanwhile: each
folder is held by a descriptor from its making on, so that nothing else is given away. Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import os

DOCUMENTATION = """
module: inherited_folder
short_description: Makes missing folders that belong to whom the nearest existing one belongs
description: [A folder that is there is left as it is.]
author: the iblvideo-admin authors
options:
  paths: {type: list, elements: path, required: true, description: "The folders, with absolute paths."}
"""
EXAMPLES = """
- name: Have a place for the link
  inherited_folder: {paths: [/home/ubuntu/Documents/PYTHON/envs]}
"""
RETURN = """
made: {type: list, returned: always, description: "What is made, the outer ones first."}
"""

OPEN = os.O_RDONLY | os.O_DIRECTORY


def missing_of(path):
    """What is to be made for this folder, the outer ones first."""
    found = []
    while not os.path.isdir(path):
        found.insert(0, path)
        path = os.path.dirname(path)
    return found


def make(path):
    parent = os.open(os.path.dirname(path), OPEN)
    try:
        name = os.path.basename(path)
        os.mkdir(name, 0o755, dir_fd=parent)
        folder = os.open(name, OPEN | os.O_NOFOLLOW, dir_fd=parent)
        try:
            given, status = os.fstat(parent), os.fstat(folder)
            same = (status.st_uid, status.st_gid) == (given.st_uid, given.st_gid)
            # another one that was put into its place is not given away
            if os.geteuid() == 0 and not same and status.st_uid == 0 and not os.listdir(folder):
                os.fchown(folder, given.st_uid, given.st_gid)
        finally:
            os.close(folder)
    finally:
        os.close(parent)


def run(paths, check_mode):
    made = []
    for path in map(os.path.abspath, paths):
        for folder in missing_of(path):
            if folder not in made:
                if os.path.lexists(folder):
                    raise OSError(folder + " is in the way, as it is no folder: move it away")
                if not check_mode:
                    make(folder)
                made.append(folder)
    return {"changed": bool(made), "made": made}


def main():
    from ansible.module_utils.basic import AnsibleModule

    options = {"paths": {"type": "list", "elements": "path", "required": True}}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    os.umask(0o022)
    try:
        module.exit_json(**run(module.params["paths"], module.check_mode))
    except OSError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
