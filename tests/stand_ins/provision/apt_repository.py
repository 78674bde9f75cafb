"""A package repository of one's own: ``.deb`` files built by dpkg-deb, indexes, a signature that apt accepts."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

KEYRING = "/etc/apt/keyrings/stand-in.gpg"
_SUMS = {"MD5sum": "md5", "SHA256": "sha256"}


@dataclass(frozen=True)
class Package:
    """What dpkg wants to know of a package, and its files."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    files: Mapping[str, str | bytes | Path] = field(default_factory=dict, hash=False)
    """Place on the host -> content; a text that begins with ``#!`` and what can be run may be run there."""
    links: Mapping[str, str] = field(default_factory=dict, hash=False)
    scripts: Mapping[str, str] = field(default_factory=dict, hash=False)
    """``postinst``, ``prerm`` ... -> a shell script."""
    more: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Further fields: Conflicts, Provides, Section ..."""
    architecture: str = "amd64"

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    def control(self) -> str:
        """Its fields, as dpkg reads them."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Stand-in <nobody@example.org>",
            **({"Depends": ", ".join(self.depends)} if self.depends else {}),
            **self.more,
            "Description": f"stand-in for {self.name}",
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items())

    def build(self, folder: Path) -> Path:
        """The ``.deb`` in this folder."""
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch) / "tree"
            for place, content in self.files.items():
                _write(tree / place.lstrip("/"), content)
            for place, target in self.links.items():
                link = tree / place.lstrip("/")
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)
            _write(tree / "DEBIAN/control", self.control())
            for name, script in self.scripts.items():
                _write(tree / "DEBIAN" / name, f"#!/bin/sh\nset -e\n{script}\n")
            for path in (tree, *tree.rglob("*")):
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o755)  # whatever the umask
            options = ["--root-owner-group", "-Zgzip", "-z1", "--build"]
            _run("dpkg-deb", *options, tree, folder / self.file)
        return folder / self.file


class Repository:
    """Packages in a folder that a server (or ``file:``) offers.

    Without a ``suite`` it is flat, as NVIDIA's are.  ``publish`` after every change: until then apt sees the old state.
    """

    def __init__(self, folder: Path, *, suite: str | None = None, origin: str = "NVIDIA", label: str = "NVIDIA CUDA",
                 signed: bool = True) -> None:  # fmt: skip
        self.folder, self.suite, self.origin, self.label = folder, suite, origin, label
        self._packages: dict[str, Package] = {}
        self._pool = folder / "pool" if suite else folder
        self._pool.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # apt reads it as its own user
        self._key = _Key(folder / "stand-in.gpg") if signed and shutil.which("gpg") else None

    @property
    def keyring(self) -> Path | None:
        """The public key, to be put to :data:`KEYRING`; None if nothing is signed."""
        return self._key.public if self._key else None

    def add(self, *packages: Package) -> None:
        """Build these; versions beside each other are kept."""
        for package in packages:
            if package.file not in self._packages:
                package.build(self._pool)
            self._packages[package.file] = package

    def remove(self, name: str, version: str | None = None) -> None:
        """Take a package (of a version) away: what was withdrawn."""
        for file, package in list(self._packages.items()):
            if package.name == name and version in (None, package.version):
                del self._packages[file]
                (self._pool / file).unlink()

    def publish(self) -> None:
        """Write the indexes and sign them."""
        top = self.folder / "dists" / self.suite if self.suite else self.folder
        packages = top / "main/binary-amd64/Packages" if self.suite else top / "Packages"
        packages.parent.mkdir(parents=True, exist_ok=True)
        packages.write_text("\n".join(self._entry(package) for package in self._packages.values()))
        packed = packages.with_suffix(".gz")
        packed.write_bytes(gzip.compress(packages.read_bytes(), mtime=0))
        fields = {"Origin": self.origin, "Label": self.label, "Date": formatdate(usegmt=True).replace("GMT", "UTC")}
        fields |= {"Suite": self.suite, "Codename": self.suite, "Components": "main"} if self.suite else {}
        text = "".join(f"{key}: {value}\n" for key, value in {**fields, "Architectures": "amd64"}.items())
        for field_name, algorithm in _SUMS.items():
            text += f"{field_name}:\n" + "".join(
                f" {_sum(path, algorithm)} {path.stat().st_size} {path.relative_to(top)}\n"
                for path in (packages, packed)
            )
        (top / "Release").write_text(text)
        if self._key:
            self._key.sign(top)

    def source(self, url: str, *, keyring: str | None = KEYRING) -> str:
        """The line for ``/etc/apt/sources.list.d``; unsigned (or without a keyring) it is trusted blindly."""
        how = f"signed-by={keyring}" if keyring and self._key else "trusted=yes"
        return f"deb [{how}] {url} {f'{self.suite} main' if self.suite else '/'}\n"

    def rotate_key(self) -> None:
        """Sign with another key from the next ``publish`` on, as NVIDIA did in April 2022: hosts have the old one."""
        assert self._key is not None
        self._key = _Key(self.folder / "stand-in-new.gpg")

    def _entry(self, package: Package) -> str:
        path = self._pool / package.file
        lines = {"Filename": f"./{path.relative_to(self.folder)}", "Size": str(path.stat().st_size)}
        lines |= {name: _sum(path, algorithm) for name, algorithm in _SUMS.items()}
        return package.control() + "".join(f"{key}: {value}\n" for key, value in lines.items())


class _Key:
    """A throw-away key.  GnuPG's folder is in no test's folder: the path of its socket may not be long."""

    def __init__(self, public: Path) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="gpg-")
        self.public = public
        try:
            self._gpg("--quick-generate-key", "Stand-in <nobody@example.org>", "ed25519", "sign", "never")
            self._gpg("--export", "--output", public)
            public.chmod(0o644)
        finally:
            self._leave()

    def sign(self, folder: Path) -> None:
        try:
            self._gpg("--clearsign", "--output", folder / "InRelease", folder / "Release")
            self._gpg("--armor", "--detach-sign", "--output", folder / "Release.gpg", folder / "Release")
        finally:
            self._leave()

    def _gpg(self, *arguments: str | Path) -> None:
        options = ["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        _run("gpg", *options, *arguments, GNUPGHOME=self._home.name)

    def _leave(self) -> None:
        _run("gpgconf", "--kill", "all", GNUPGHOME=self._home.name)


def _write(path: Path, content: str | bytes | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copy(content, path)
        path.chmod(0o755 if os.access(content, os.X_OK) else 0o644)
        return
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o755 if path.read_bytes()[:2] == b"#!" else 0o644)


def _sum(path: Path, algorithm: str) -> str:
    return hashlib.new(algorithm, path.read_bytes(), usedforsecurity=False).hexdigest()


def _run(*command: str | Path, **more: str) -> None:
    subprocess.run(["/usr/bin/env", *command], env=os.environ | more, check=True, capture_output=True)
