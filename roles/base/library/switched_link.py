"""An Ansible module: the link that says which of several versions is in use, and the one that says which was before.

    CLI/current -> 0.3.0+abc      CLI/previous -> 0.2.0+def

A switch is one rename, so there is no moment without a version. Switching back makes the two change places. Where the host
dies between the two links, the same switch once more ends as it should.
Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import os

DOCUMENTATION = """
module: switched_link
short_description: Leads `current` to a version, and remembers the one before as `previous`
description: [Refuses to replace what is no link.]
author: the iblvideo-admin authors
options:
  folder: {type: path, required: true, description: Where the versions lie.}
  version: {type: str, default: "", description: "Its name in the folder; empty: the previous one."}
  previous: {type: str, default: "", description: "What `previous` is to lead to where the version in use has failed; empty: to that one."}
"""
EXAMPLES = """
- name: Switch
  switched_link: {folder: /opt/iblvideo/cli, version: 0.3.0+abc}
- name: Switch back
  switched_link: {folder: /opt/iblvideo/cli}
"""
RETURN = """
current: {type: str, returned: always, description: The version in use.}
previous: {type: str, returned: always, description: "The one before; empty: none"}
"""


class Refused(Exception):
    """It is not done; the text says why."""


def led_to(path):
    """Empty where nothing is."""
    if os.path.islink(path):
        return os.readlink(path)
    if os.path.lexists(path):
        raise Refused(
            f"path.taken: {path} exists and is no link of iblvideo-admin: move it away, or choose another place"
        )
    return ""


def lead(path, target):
    """By a rename; a new name first, so that it is never missing."""
    new = path + ".iblvideo-new"
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(target, new)
    os.replace(new, path)


def switch(folder, version="", dry=False, remember=""):
    """(changed, current, previous)."""
    current, previous = (os.path.join(folder, name) for name in ("current", "previous"))
    now, before = led_to(current), led_to(previous)
    wanted = version or before
    if not version and before in ("", now):
        raise Refused(folder + " has no previous version to go back to")
    if wanted == now:
        return False, now, before
    left = remember or now
    if dry:
        return True, wanted, left or before
    if not os.path.isdir(os.path.join(folder, wanted)):
        raise Refused(os.path.join(folder, wanted) + " is not there any more")
    # Forward, `previous` comes first: what was in use is not forgotten. Back, it comes last: it says where to go.
    steps = ([(previous, left)] if left else []) + [(current, wanted)]
    for link, target in steps if version else reversed(steps):
        lead(link, target)
    return True, wanted, left or before


def main():
    from ansible.module_utils.basic import AnsibleModule

    options = {
        "folder": {"type": "path", "required": True},
        "version": {"type": "str", "default": ""},
        "previous": {"type": "str", "default": ""},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        given = module.params
        changed, current, previous = switch(given["folder"], given["version"], module.check_mode, given["previous"])
        module.exit_json(changed=changed, current=current, previous=previous)
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
