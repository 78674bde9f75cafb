"""An Ansible module: the parameter files of the IBL's client ONE, for a user who is never asked.

ONE keeps one file per Alyx and a list of them (int-brain-lab/ONE, one/params.py), with passwords in clear and readable by
everybody; so their folder is closed. ONE itself writes into these files (the token of a log-in): what it wrote stays as long
as address and login are the same. Members of the group may write into the home, so the folder is held by a descriptor, and
nothing in it that they could have prepared is written into. Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import errno
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
  one_parameters: {home: /var/lib/x, url: "{{ one_alyx_url }}", cache_dir: /data, parameters: {ALYX_LOGIN: lab}}
"""
RETURN = """
files: {type: list, returned: always, description: "What was written, or would be."}
"""


def client_of(url):
    """As ONE calls its file: without the scheme, and alyx.example.org:8000 is alyx.example.org_8000."""
    return re.sub(r"^https?://", "", url.rstrip("/")).replace(":", "_")


def read(name, folder):
    """{} where there is nothing that ONE could read; `folder` is a descriptor."""
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def merged(there, url, parameters):
    """What the file is to hold: what ONE added stays, unless it belongs to another login or address."""
    kept = dict(there)
    if str(there.get("ALYX_URL")).rstrip("/") != url or there.get("ALYX_LOGIN") != parameters.get("ALYX_LOGIN"):
        kept.pop("TOKEN", None)
    return dict(kept, ALYX_URL=url, **parameters)


def write(name, content, ids, folder):
    """Nobody else can read it at any moment, nor holds it open."""
    new = name + ".new"
    try:
        os.unlink(new, dir_fd=folder)
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(new, flags, 0o600, dir_fd=folder), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        if ids:
            os.fchown(file.fileno(), *ids)
        json.dump(content, file, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)


def opened(path):
    """A descriptor of the folder; None where there is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise OSError(path + " is no folder: it must be one of the service's own, so remove it")


def name_of(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def close_folder(path, folder, ids):
    """True if it was open to others."""
    status = os.fstat(folder)
    if ids and status.st_uid not in (ids[0], os.geteuid()):
        raise OSError(
            "{} belongs to {}: it must be the service's own, so remove it".format(path, name_of(status.st_uid))
        )
    changed = status.st_mode & 0o7777 != 0o700 or (ids is not None and (status.st_uid, status.st_gid) != ids)
    if changed:
        os.fchmod(folder, 0o700)
        if ids:
            os.fchown(folder, *ids)
    return changed


def wanted_files(given, folder):
    """Name -> content."""
    url, client = given["url"].rstrip("/"), client_of(given["url"])
    caches, there = (read(name, folder) if folder is not None else {} for name in (".caches", "." + client))
    clients = caches.get("CLIENT_MAP")
    clients = dict(clients if isinstance(clients, dict) else {}, **{client: given["cache_dir"]})
    return {
        ".caches": dict(caches, CLIENT_MAP=clients, DEFAULT=client),
        "." + client: merged(there, url, given["parameters"]),
    }


def run(given, check_mode):
    path = os.path.join(given["home"], ".one")
    folder = opened(path)
    try:
        ids, made = None, folder is None
        if given["owner"] and not check_mode:
            ids = (pwd.getpwnam(given["owner"]).pw_uid, grp.getgrnam(given["group"]).gr_gid)
        if made and not check_mode:
            os.mkdir(path, 0o700)
            folder = opened(path)
        closed = not check_mode and close_folder(path, folder, ids)
        wanted = wanted_files(given, folder)
        stale = [name for name in wanted if folder is None or read(name, folder) != wanted[name]]
        for name in [] if check_mode else stale:
            write(name, wanted[name], ids, folder)
    finally:
        if folder is not None:
            os.close(folder)
    return {"changed": bool(stale) or made or closed, "files": [os.path.join(path, name) for name in stale]}


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
