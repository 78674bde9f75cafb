"""An Ansible module: cuDNN's header and libraries inside one CUDA toolkit.

Only the archive's headers and libraries are taken, whatever else it holds, and each under a temporary name first. Links stay
links, and every user may read. Which version is there is read where nothing can pretend: from the header's macros, and by
asking the library itself (`cudnnGetVersion`, in a process of its own).
Standard library only, Python >= 3.8.
"""

from __future__ import annotations

import errno
import glob
import json
import lzma
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
import zlib

DOCUMENTATION = """
module: cudnn_tree
short_description: Looks at cuDNN in a CUDA toolkit, or unpacks its archive into it
description: [Touches no file but cuDNN's own, and none that somebody else put there unless it is of another version.]
author: the iblvideo-admin authors
options:
  root: {type: path, required: true, description: "The toolkit's folder, as in /usr/local/cuda-10.0."}
  library: {type: str, required: true, description: "As in libcudnn.so.7."}
  number: {type: int, required: true, description: "The version, as cudnnGetVersion() says it."}
  archive: {type: path, description: Unpack this; without it the toolkit is only looked at.}
"""
EXAMPLES = """
- name: Look
  cudnn_tree: {root: /usr/local/cuda-10.0, library: libcudnn.so.7, number: 7605}
"""
RETURN = """
header: {type: int, returned: always, description: "What the header says; 0: there is none"}
loaded: {type: int, returned: always, description: "What the library says; 0: there is none, or it cannot be loaded"}
problem: {type: str, returned: always, description: Why the library cannot be loaded.}
matches: {type: bool, returned: always, description: Whether both are the wanted version.}
foreign: {type: bool, returned: always, description: Whether the toolkit was installed by somebody else.}
"""

MARKER = ".iblvideo-admin.json"
HEADERS = ("cudnn_version.h", "cudnn.h")  # from 8 on the first holds the macros
MACRO = re.compile(r"^#define CUDNN_(MAJOR|MINOR|PATCHLEVEL)\s+(\d+)", re.MULTILINE)
ASK = "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).cudnnGetVersion; f.restype = ctypes.c_size_t; print(f())"
WANTED = re.compile(r"^(?:cuda|cudnn-[^/]+)/(include/cudnn[^/]*\.h|lib(?:64)?/libcudnn[^/]*)$")
LINKED = re.compile(r"^(?:libcudnn[^/]*|cudnn[^/]*\.h)$")


class Refused(Exception):
    """It is not done; the text says why."""


def header_version(root):
    for name in HEADERS:
        try:
            with open(os.path.join(root, "include", name), encoding="utf-8", errors="replace") as file:
                found = dict(MACRO.findall(file.read()))
        except OSError:
            continue
        if len(found) == 3:
            return int(found["MAJOR"]) * 1000 + int(found["MINOR"]) * 100 + int(found["PATCHLEVEL"])
    return 0


def library_version(root, library):
    """(number, problem)."""
    path = os.path.join(root, "lib64", library)
    if not os.path.exists(path):
        return 0, path + " is not there"
    environment = dict(os.environ, LD_LIBRARY_PATH=os.path.join(root, "lib64"))
    done = subprocess.run(
        [sys.executable, "-c", ASK, path],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )
    said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
    answer = done.stdout.decode().strip()
    return (int(answer), "") if answer.isdigit() else (0, path + " cannot be loaded: " + said)


def is_foreign(root):
    """By the marker of cuda_tree: an adopted toolkit is somebody else's, too."""
    try:
        with open(os.path.join(root, MARKER), encoding="utf-8") as file:
            return json.load(file)["state"] == "adopted"
    except (OSError, ValueError, TypeError, KeyError):
        return os.path.isdir(root)


def look(given):
    header = header_version(given["root"])
    loaded, problem = library_version(given["root"], given["library"])
    return {
        "header": header,
        "loaded": loaded,
        "problem": problem,
        "matches": header == loaded == given["number"],
        "foreign": is_foreign(given["root"]),
    }


def members(archive):
    """(member, its place below the toolkit), of the headers and libraries; whatever could leave the folder is refused."""
    found = []
    for member in archive.getmembers():
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise Refused("its member " + repr(member.name) + " would leave the folder")
        match = WANTED.match(posixpath.normpath(member.name))
        if not match:
            continue
        if member.issym():
            if not LINKED.match(member.linkname):
                raise Refused(
                    "its member {!r} is a link to {!r}, which would leave the folder or is not cuDNN's".format(
                        member.name, member.linkname
                    )
                )
        elif not member.isreg():
            raise Refused("its member {!r} is neither a file nor a link".format(member.name))
        folder, name = match.group(1).split("/")
        found.append((member, os.path.join("include" if folder == "include" else "lib64", name)))
    if not found:
        raise Refused("it holds no header and no library of cuDNN")
    return found


def place(archive, member, target):
    new = target + ".iblvideo-new"
    if os.path.lexists(new):
        os.unlink(new)
    if member.issym():
        os.symlink(member.linkname, new)
    else:
        with archive.extractfile(member) as source, open(new, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(new, 0o755 if ".so" in os.path.basename(target) else 0o644)
    os.replace(new, target)


def unpack(given):
    root = given["root"]
    try:
        with tarfile.open(given["archive"]) as archive:
            for member, relative in members(archive):
                folder = os.path.join(root, os.path.dirname(relative))
                if not os.path.isdir(folder):
                    os.makedirs(folder)
                    os.chmod(folder, 0o755)
                place(archive, member, os.path.join(root, relative))
    except Refused as error:
        raise Refused("{}: {}".format(given["archive"], error))
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise Refused("{} is no archive, or it is cut off: {}".format(given["archive"], error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise Refused("there is no room on the disk of {}: make room there and run the playbook again".format(root))
    finally:
        for left in glob.glob(os.path.join(glob.escape(root), "*", "*.iblvideo-new")):
            os.unlink(left)


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "library": {"type": "str", "required": True},
            "number": {"type": "int", "required": True},
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    os.umask(0o022)
    try:
        if not given["archive"]:
            module.exit_json(changed=False, **look(given))
        if not module.check_mode:
            unpack(given)
        module.exit_json(changed=True, **look(given))
    except (Refused, OSError, subprocess.SubprocessError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
