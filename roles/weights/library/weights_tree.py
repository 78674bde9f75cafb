"""An Ansible module: a tree of DeepLabCut networks, described where it lies and installed where it is used.

A tree is a folder that holds the networks' folders, or a .zip of one (the networks at its top or one folder below).
Its fingerprint covers names and contents, so that a folder and a zip of the same files have the same one.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import stat
import tempfile
import zipfile

DOCUMENTATION = """
module: weights_tree
short_description: Describes, packs or installs a tree of DeepLabCut networks
description: [Verifies that every network is complete; unpacks no archive member that would leave its folder.]
author: the iblvideo-admin authors
options:
  src: {type: path, description: Folder or .zip that holds the networks.}
  sha256: {type: str, default: "", description: What the .zip must be.}
  networks: {type: list, elements: str, default: [], description: A shell pattern for each network's folder.}
  pack: {type: path, description: Write the tree into this .zip.}
  dest: {type: path, description: Install the tree as this folder.}
  fingerprint: {type: str, default: "", description: Leave dest alone if it holds this tree, and fail if src is another.}
  archive_sha256: {type: str, default: "", description: "The archive that the tree came from, for the marker."}
"""
EXAMPLES = """
- name: Install
  weights_tree: {src: /tmp/weights_v2.1, dest: /opt/iblvideo/weights/weights_v2.1, networks: ["nose_tip-*"]}
"""
RETURN = """
fingerprint: {type: str, returned: always, description: "Names the tree's content: of src, or else of dest."}
archive_sha256: {type: str, returned: always, description: "Of src where it is an archive, or else what dest was made from."}
intact: {type: bool, returned: always, description: Whether dest holds what was once installed there.}
"""

MARKER = ".iblvideo-admin.json"


class Unusable(Exception):
    """The tree, or the place for it, cannot be used; the text says why."""


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_of(folder):
    """Relative path -> path of all files; a link that leads out of the tree is refused."""
    found = {}
    for base, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if os.path.commonpath([os.path.realpath(path), os.path.realpath(folder)]) != os.path.realpath(folder):
                raise Unusable(f"{path} leads out of the weights folder")
            if name != MARKER:
                found[os.path.relpath(path, folder)] = path
    return found


def fingerprint_of(folder):
    digest = hashlib.sha256()
    for name, path in sorted(files_of(folder).items()):
        digest.update((f"{name}\0{sha256_of(path)}\n").encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def unpack(archive, folder):
    """Like ZipFile.extractall, but a member that would land elsewhere, or is no plain file, stops it before anything is written."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            parts = member.filename.replace("\\", "/").split("/")
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
                raise Unusable(f"{archive}: its member {member.filename!r} would leave the folder")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Unusable(f"{archive}: its member {member.filename!r} is a link or a device")
        opened.extractall(folder)


def root_of(folder, networks):
    """The folder itself, or the one folder in it, whichever holds the networks."""
    inside = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name != "__MACOSX"]
    for root in [folder] + (inside if len(inside) == 1 and os.path.isdir(inside[0]) else []):
        if any(glob.glob(os.path.join(glob.escape(root), pattern)) for pattern in networks):
            return root
    raise Unusable("{} holds none of {}".format(folder, " ".join(networks)))


def check_networks(root, networks):
    for pattern in networks:
        folders = glob.glob(os.path.join(glob.escape(root), pattern))
        if len(folders) != 1:
            raise Unusable(f"{root} holds {len(folders)} folders {pattern}, wanted is one")
        model = os.path.join(glob.escape(folders[0]), "dlc-models", "iteration-*", "*")
        for wanted in ("config.yaml",), (model, "test", "pose_cfg.yaml"), (model, "train", "snapshot-*.index"):
            if not glob.glob(os.path.join(glob.escape(folders[0]), *wanted)):
                raise Unusable(f"{folders[0]} is incomplete: no {os.path.basename(wanted[-1])}")
        for index in glob.glob(os.path.join(model, "train", "snapshot-*.index")):
            if not glob.glob(glob.escape(index[: -len(".index")]) + ".data-*"):
                raise Unusable(f"{folders[0]} is incomplete: {os.path.basename(index)} has no data beside it")


def opened_source(src, sha256, networks, scratch):
    """The folder with the networks, from a folder or a verified .zip."""
    if os.path.isfile(src):
        seen = sha256_of(src)
        if sha256 and seen != sha256:
            raise Unusable(f"{src} has the sha256 {seen}, wanted is {sha256}")
        try:
            unpack(src, scratch)
        except zipfile.BadZipFile as error:
            raise Unusable(f"{src} is no .zip, or a damaged one ({error})")
        src = scratch
    elif not os.path.isdir(src):
        raise Unusable(f"{src} does not exist")
    root = root_of(src, networks)
    check_networks(root, networks)
    return root


def write_zip(root, target):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # weights do not compress
        for name, path in sorted(files_of(root).items()):
            archive.write(path, name)


def installed(dest):
    """{} where nothing is, else the marker with `intact`; what is not ours is refused."""
    if not os.path.lexists(dest):
        return {}
    try:
        with open(os.path.join(dest, MARKER), encoding="utf-8") as file:
            marker = json.load(file)
    except (OSError, ValueError):
        raise Unusable(
            f"path.taken: {dest} exists and was not made by iblvideo-admin: move it away, or choose another weights_name"
        )
    return dict(marker, intact=fingerprint_of(dest) == marker.get("fingerprint"))


def install(root, dest, fingerprint, archive_sha256):
    """Under a temporary name first: a tree at `dest` is always whole."""
    parent, name = os.path.split(dest)
    new, old = (os.path.join(parent, f".{name}.{which}") for which in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    for relative, path in files_of(root).items():
        target = os.path.join(new, relative)
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        shutil.copyfile(path, target)
        os.chmod(target, 0o644)
    with open(os.path.join(new, MARKER), "w", encoding="utf-8") as file:
        json.dump({"fingerprint": fingerprint, "archive_sha256": archive_sha256}, file)
        file.flush()
        os.fsync(file.fileno())
    if os.path.lexists(dest):
        os.rename(dest, old)
    os.rename(new, dest)
    shutil.rmtree(old, ignore_errors=True)


def run(params, check_mode, scratch):
    there = installed(params["dest"]) if params["dest"] else {}
    result = {
        "changed": False,
        "intact": bool(there.get("intact")),
        "fingerprint": there.get("fingerprint", ""),
        "archive_sha256": there.get("archive_sha256", ""),
    }
    if not params["src"] or (result["intact"] and result["fingerprint"] == params["fingerprint"]):
        return result
    archive_sha256 = params["archive_sha256"] or (sha256_of(params["src"]) if os.path.isfile(params["src"]) else "")
    root = opened_source(params["src"], params["sha256"], params["networks"], scratch)
    fingerprint = fingerprint_of(root)
    if params["fingerprint"] and fingerprint != params["fingerprint"]:
        raise Unusable("{} arrived damaged".format(params["src"]))
    if params["pack"]:
        write_zip(root, params["pack"])
    if params["dest"] and not (result["intact"] and fingerprint == result["fingerprint"]):
        result["changed"] = True
        if not check_mode:
            install(root, params["dest"], fingerprint, archive_sha256)
    return dict(result, fingerprint=fingerprint, archive_sha256=archive_sha256)


def main():
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path"},
            "sha256": {"type": "str", "default": ""},
            "networks": {"type": "list", "elements": "str", "default": []},
            "pack": {"type": "path"},
            "dest": {"type": "path"},
            "fingerprint": {"type": "str", "default": ""},
            "archive_sha256": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)  # the service reads them, whatever root's umask
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
        try:
            module.exit_json(**run(module.params, module.check_mode, scratch))
        except (Unusable, OSError, zipfile.BadZipFile) as error:
            module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
