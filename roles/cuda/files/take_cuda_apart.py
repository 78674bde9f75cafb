"""Copies the toolkit out of NVIDIA's unpacked installer.

    python3 take_cuda_apart.py UNPACKED ROOT

Up to CUDA 10.0 the unpacked installer holds further ones: run_files/cuda-linux*.run is unpacked, and what it holds is the
toolkit as it lies. From 10.1 on the parts lie in builds/, a folder each. ROOT is empty but for the role's marker.
Standard library only, Python >= 3.8.
"""

import glob
import os
import shutil
import subprocess
import sys

# what the inner installer brings for its own use
NOT_TOOLKIT = {"install-linux.pl", "InstallUtils.pm", "uninstall_cuda.pl", "cuda-installer", "bin.installer"}
# parts of builds/ that are no toolkit: the driver, and what shows pictures
NOT_PARTS = {"NVIDIA-Linux", "cuda_documentation", "nsight", "integration", "bin"}


def inner_installers(unpacked):
    return sorted(glob.glob(os.path.join(glob.escape(unpacked), "run_files", "cuda-linux*.run")))


def parts(unpacked):
    """The folders whose contents, one over the other, are the toolkit."""
    builds = os.path.join(unpacked, "builds")
    if os.path.isdir(builds):
        return [
            os.path.join(builds, name)
            for name in sorted(os.listdir(builds))
            if os.path.isdir(os.path.join(builds, name)) and not name.startswith(tuple(NOT_PARTS))
        ]
    found = []
    for number, installer in enumerate(inner_installers(unpacked)):
        target = os.path.join(unpacked, "inner-{}".format(number))
        done = subprocess.run(
            ["sh", installer, "--keep", "--noexec", "--target", target],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").split("\n")
            sys.exit("{} cannot be unpacked: {}".format(installer, " ".join(filter(None, map(str.strip, said[-4:])))))
        found.append(target)
    return found


def copy(source, target):
    """Contents of one folder over another; links stay links."""
    os.makedirs(target, mode=0o755, exist_ok=True)
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        there = os.path.join(target, entry.name)
        if entry.is_symlink():
            if os.path.lexists(there):
                os.unlink(there)
            os.symlink(os.readlink(entry.path), there)
        elif entry.is_dir():
            copy(entry.path, there)
        else:
            shutil.copy2(entry.path, there)
            os.chmod(there, 0o755 if os.stat(entry.path).st_mode & 0o100 else 0o644)


def main():
    unpacked, root = sys.argv[1:]
    os.umask(0o022)
    found = parts(unpacked)
    if not found:
        sys.exit("{} holds neither builds/ nor run_files/cuda-linux*.run".format(unpacked))
    for part in found:
        for name in NOT_TOOLKIT & set(os.listdir(part)):
            path = os.path.join(part, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        copy(part, root)
    for path in glob.glob(os.path.join(glob.escape(unpacked), "builds", "version.*")):
        shutil.copyfile(path, os.path.join(root, os.path.basename(path)))
    link_targets(root)


def link_targets(root):
    """Later toolkits lie in targets/; where people look, there are links, which the installer would make."""
    for name, target in (("lib64", "targets/x86_64-linux/lib"), ("include", "targets/x86_64-linux/include")):
        if os.path.isdir(os.path.join(root, target)) and not os.path.lexists(os.path.join(root, name)):
            os.symlink(target, os.path.join(root, name))


if __name__ == "__main__":
    main()
