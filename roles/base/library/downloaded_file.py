"""An Ansible module: one file from a server, whole and of its sha256, or not there at all.

What get_url lacks for files of gigabytes: a connection that was cut is noticed (by the length that the server told), and gone
on with where it ended; room is needed only where the file goes; the login is given to the server that was named, and not to
where it redirects. What stays wrong (no such file, no login, another file) is not asked for again.
Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

DOCUMENTATION = """
module: downloaded_file
short_description: Fetches one file from a server
description: [Goes on with what was interrupted; the file is renamed into place once it is whole.]
author: the iblvideo-admin authors
options:
  url: {type: str, required: true, description: Where it lies.}
  dest: {type: path, required: true, description: Where it goes.}
  sha256: {type: str, default: "", description: "What it must be; empty: the first one is kept."}
  user: {type: str, default: "", description: "A login; empty: none."}
  password: {type: str, default: "", description: Its password.}
  attempts: {type: int, default: 4, description: How often it is tried.}
  pause_s: {type: float, default: 5, description: How long it waits between them.}
  timeout_s: {type: float, default: 60, description: How long a server may be silent.}
"""
EXAMPLES = """
- name: Fetch
  downloaded_file: {url: "{{ download_url }}/x.tgz", dest: /opt/x.tgz, sha256: 28355e39}
"""
RETURN = """
sha256: {type: str, returned: success, description: What it is.}
attempts: {type: int, returned: success, description: How often it was asked for.}
reason: {type: str, returned: failure, description: "login, missing, status, sha256, room, unreachable or cut"}
status: {type: int, returned: failure, description: "What the server answered; 0: nothing"}
"""

BLOCK = 1 << 20
AGENT = "iblvideo-admin"


class Failed(Exception):
    """It did not arrive; `final` is what would be the same the next time."""

    def __init__(self, reason, text, status=0, final=False):
        Exception.__init__(self, text)
        self.reason, self.status, self.final = reason, status, final


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def request_for(given, have):
    """With the login, which may stand in the address, too."""
    parts = urllib.parse.urlsplit(given["url"])
    login = "{}:{}".format(given["user"], given["password"]) if given["user"] else ""
    if "@" in parts.netloc:
        inside, _, place = parts.netloc.rpartition("@")
        login, parts = login or urllib.parse.unquote(inside), parts._replace(netloc=place)
    request = urllib.request.Request(parts.geturl(), headers={"User-Agent": AGENT})
    if login:
        # not to where the server sends us on
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    if have:
        request.add_header("Range", "bytes={}-".format(have))
    return request


def opened(given, have):
    """The server's answer."""
    try:
        return urllib.request.urlopen(request_for(given, have), timeout=given["timeout_s"])
    except urllib.error.HTTPError as error:
        reason = {401: "login", 403: "login", 404: "missing", 410: "missing"}.get(error.code, "status")
        final = 400 <= error.code < 500 and error.code not in (408, 416, 429)
        raise Failed(reason, "the server answered {}".format(error.code), error.code, final)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        cause = getattr(error, "reason", error)
        final = isinstance(cause, ssl.SSLCertVerificationError)
        raise Failed("unreachable", "the server does not answer ({})".format(cause), final=final)
    except ValueError as error:
        raise Failed("unreachable", "that is no address ({})".format(error), final=True)


def write(file, block):
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failed("room", "No space left on device", final=True)


def fetch(given, part):
    """One attempt. What arrives is added to `part`."""
    have = os.path.getsize(part) if os.path.exists(part) else 0
    try:
        answer = opened(given, have)
    except Failed as error:
        if error.status == 416:  # there is no more than we have, and it is not what we want
            os.unlink(part)
        raise
    with answer, open(part, "ab") as file:
        if have and answer.status != 206:
            file.truncate(0)
            have = 0
        length = answer.headers.get("Content-Length")
        wanted = have + int(length) if length else 0
        try:
            for block in iter(lambda: answer.read(BLOCK), b""):
                write(file, block)
                have += len(block)
        except (http.client.HTTPException, OSError) as error:
            raise Failed("cut", "the connection was lost after {} bytes ({})".format(have, error or "silence"))
        if have < wanted:
            raise Failed("cut", "the connection was lost after {} of {} bytes".format(have, wanted))
        os.fsync(file.fileno())


def judged(part, given):
    """The sha256 of what arrived."""
    seen = sha256_of(part)
    if given["sha256"] and seen != given["sha256"].lower():
        with open(part, "rb") as file:
            page = " (it is a web page)" if file.read(200).lstrip()[:1] == b"<" else ""
        os.unlink(part)
        raise Failed("sha256", "its sha256 is {}{}, wanted is {}".format(seen, page, given["sha256"]), final=True)
    return seen


def download(given, sleep=time.sleep):
    """What arrived, and in how many attempts."""
    dest = given["dest"]
    if os.path.exists(dest):
        seen = sha256_of(dest)
        if not given["sha256"] or seen == given["sha256"].lower():
            return {"changed": False, "sha256": seen, "attempts": 0}
    part = dest + ".part"
    # Without a checksum nobody would notice that two halves do not belong together.
    continued = os.path.exists(part)
    if continued and not given["sha256"]:
        os.unlink(part)
        continued = False
    attempt = 0
    while True:
        attempt += 1
        try:
            fetch(given, part)
            seen = judged(part, given)
            break
        except Failed as error:
            if error.reason == "sha256" and continued:
                continued = False  # half of it was from another time
                continue
            if error.reason == "room" and os.path.exists(part):
                os.unlink(part)
            if error.final or attempt >= given["attempts"]:
                raise
        sleep(given["pause_s"])
    os.chmod(part, 0o644)
    os.replace(part, dest)
    return {"changed": True, "sha256": seen, "attempts": attempt}


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "sha256": {"type": "str", "default": ""},
            "user": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "attempts": {"type": "int", "default": 4},
            "pause_s": {"type": "float", "default": 5},
            "timeout_s": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, sha256="", attempts=0)
    try:
        module.exit_json(**download(module.params))
    except Failed as error:
        module.fail_json(msg=str(error), reason=error.reason, status=error.status)
    except OSError as error:
        module.fail_json(msg=str(error), reason="room" if error.errno == errno.ENOSPC else "file", status=0)


if __name__ == "__main__":
    main()
