"""An Ansible module: the parameter files of the IBL's client ONE, for a user who is never asked.

ONE keeps one file per Alyx and a list of them (int-brain-lab/ONE, one/params.py), with passwords in clear and readable by
everybody; so their folder is closed. ONE itself writes into these files (the token of a log-in): what it wrote stays as long
as address and login are the same. Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re

DOCUMENTATION = """
module: one_parameters
short_description: Writes ONE's parameters for a user
description: [Keeps what ONE itself wrote there. Files are 0600 in a folder 0700, of that user.]
author: the iblvideo-admin authors
options:
  home: {type: path, required: true, description: "The user's home; the files go into .one there."}
  owner: {type: str, default: "", description: "The user; empty - whoever runs this."}
  group: {type: str, default: "", description: "Its group."}
  url: {type: str, required: true, description: The Alyx.}
  cache_dir: {type: path, required: true, description: Where ONE keeps data.}
  parameters: {type: dict, required: true, description: "What to write, as ALYX_LOGIN."}
"""
EXAMPLES = """
- name: Let the service log in
  one_parameters: {home: /var/lib/x, url: "https://alyx.example.org", cache_dir: /data, parameters: {ALYX_LOGIN: lab}}
"""
RETURN = """
files: {type: list, returned: always, description: "What was written, or would be."}
"""


def client_of(url):
    """As ONE calls its file: https://alyx.example.org:8000 is alyx.example.org_8000."""
    return re.sub(r"^https?://", "", url.rstrip("/")).replace(":", "_")


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def merged(there, url, parameters):
    """What the file is to hold: what ONE added stays, unless it belongs to another login or address."""
    kept = dict(there)
    if there.get("ALYX_URL") != url or there.get("ALYX_LOGIN") != parameters.get("ALYX_LOGIN"):
        kept.pop("TOKEN", None)
    return dict(kept, ALYX_URL=url, **parameters)


def write(path, content, ids):
    """Nobody else can read it at any moment."""
    new = path + ".new"
    with open(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(content, file, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
        if ids:
            os.fchown(file.fileno(), *ids)
        os.fchmod(file.fileno(), 0o600)
    os.replace(new, path)


def close_folder(folder, ids):
    """True if it was not there, or open to others."""
    if os.path.islink(folder):
        raise OSError(folder + " is a link: it must be a folder of the service's own")
    made = not os.path.isdir(folder)
    if made:
        os.mkdir(folder, 0o700)
    status = os.stat(folder)
    changed = made or status.st_mode & 0o7777 != 0o700 or (ids and (status.st_uid, status.st_gid) != ids)
    if changed:
        if ids:
            os.chown(folder, *ids)
        os.chmod(folder, 0o700)
    return bool(changed)


def run(given, check_mode):
    folder = os.path.join(given["home"], ".one")
    url, client = given["url"].rstrip("/"), client_of(given["url"])
    ids = (
        (pwd.getpwnam(given["owner"]).pw_uid, grp.getgrnam(given["group"]).gr_gid)
        if given["owner"] and not check_mode
        else None
    )
    caches = read(os.path.join(folder, ".caches"))
    wanted = {
        ".caches": {
            "CLIENT_MAP": dict(caches.get("CLIENT_MAP", {}), **{client: given["cache_dir"]}),
            "DEFAULT": client,
        },
        "." + client: merged(read(os.path.join(folder, "." + client)), url, given["parameters"]),
    }
    stale = [name for name, content in wanted.items() if read(os.path.join(folder, name)) != content]
    files = [os.path.join(folder, name) for name in stale]
    if check_mode:
        return {"changed": bool(stale), "files": files}
    closed = close_folder(folder, ids)
    for name, path in zip(stale, files):
        write(path, wanted[name], ids)
    return {"changed": bool(stale) or closed, "files": files}


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "owner": {"type": "str", "default": ""},
            "group": {"type": "str", "default": ""},
            "url": {"type": "str", "required": True},
            "cache_dir": {"type": "path", "required": True},
            "parameters": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module.params, module.check_mode))
    except (OSError, KeyError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
