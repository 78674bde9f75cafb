"""Writes the index `Packages` of a folder of .deb files, so that apt takes the folder for a repository.

    python3 index_packages.py FOLDER

Standard library and dpkg only, Python >= 3.8.
"""

import glob
import hashlib
import os
import subprocess
import sys


def entry(path):
    """One stanza: the package's own control fields, and where and what the file is."""
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    control = subprocess.run(["dpkg-deb", "--field", path], check=True, stdout=subprocess.PIPE).stdout.decode("utf-8")
    name, size = os.path.basename(path), os.path.getsize(path)
    return "{}Filename: ./{}\nSize: {}\nSHA256: {}\n".format(control.rstrip("\n") + "\n", name, size, digest)


def main():
    folder = sys.argv[1]
    entries = [entry(path) for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.deb")))]
    if not entries:
        sys.exit("{} holds no package".format(folder))
    new = os.path.join(folder, "Packages.new")
    with open(new, "w", encoding="utf-8") as file:
        file.write("\n".join(entries))
    os.replace(new, os.path.join(folder, "Packages"))


if __name__ == "__main__":
    main()
