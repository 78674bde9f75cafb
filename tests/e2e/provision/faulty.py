"""A server on which a fault is waiting: what the playbook says of it, and that it completes once the fault is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from e2e.hosts import Host
from e2e.provision.makers import Makers
from e2e.provision.site import Said, Site
from stand_ins.provision import cuda_runfile
from stand_ins.provision.apt_repository import Package
from stand_ins.provision.cuda_runfile import CUDA_10_0, CUDA_11_8, Behaviour

from iblvideo_admin import toolchains

# what Ansible itself leaves, in whoever's home
_NOT_OURS = (".ansible",)
_LISTING = """
import hashlib, os, sys
skipped = sys.argv[1].split()
for top in sys.argv[2:]:
    trees = [] if os.path.islink(top) else list(os.walk(top))
    paths = [top] + [os.path.join(base, name) for base, folders, names in trees for name in folders + names]
    for path in paths:
        if os.path.lexists(path) and not set(skipped) & set(path.split("/")):
            s, what = os.lstat(path), os.readlink(path) if os.path.islink(path) else ""
            if os.path.isfile(path) and not what:
                what = hashlib.sha256(open(path, "rb").read()).hexdigest()
            print(path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_size, s.st_mtime_ns, what)
"""
TAGS = ("--tags", "base,cuda,cudnn")
MARKER = ".iblvideo-admin.json"
RELEASES = {"10.0": CUDA_10_0, "11.8": CUDA_11_8}


def system_packages(folder: Path) -> list[Path]:
    """What the role base would install, with nothing in it: a run takes seconds, not a minute."""
    described = yaml.safe_load((toolchains.FOLDER / "dlc-tf1-cpu.yml").read_text(encoding="utf-8"))
    listed = described["system_packages"]["Debian"]["default"]
    return [Package(name, "99:1").build(folder) for name in (*listed, "ffmpeg")]


def last_words(said: Said) -> str:
    """What the task said that ended the run."""
    return said.words.rpartition("fatal: [")[2].partition("PLAY RECAP")[0].replace("''", "'")


class Faulty:
    """One host, its site, and the makers' servers."""

    def __init__(self, host: Host, site: Site, makers: Makers) -> None:
        self.host, self.site, self.makers = host, site, makers
        self.seconds: list[float] = []

    def run(self, *arguments: str, **variables: Any) -> Said:
        """The roles under test; ``variables`` for this run only."""
        said = self.site.play("site.yml", *(arguments or TAGS), **variables)
        self.seconds.append(said.seconds)
        return said

    def fails(self, *sentences: str, tags: tuple[str, ...] = (), **variables: Any) -> Said:
        """It ends with a sentence that holds all of these."""
        said = self.run(*tags, **variables).failed()
        for sentence in sentences:
            assert sentence in last_words(said), (sentence, last_words(said))
        return said

    def completes(self, *arguments: str, version: str = "10.0", **variables: Any) -> Said:
        """It ends well, and what it made is whole."""
        said = self.run(*arguments, **variables).good()
        assert self.marker(version)["state"] == "installed", self.marker(version)
        for soname in RELEASES[version].libraries:
            assert self.there(f"/usr/local/cuda-{version}", soname), soname
        left = self.ls("/opt/iblvideo/downloads")
        assert left == [], left
        return said

    def installer(self, behaviour: Behaviour, version: str = "10.0") -> None:
        """The makers offer one that misbehaves."""
        folder = self.site.folder / f"{version} {behaviour}"
        runfile = cuda_runfile.make(folder, RELEASES[version], behaviour)
        cudnn = self.makers.server.file(
            self.makers.definitions[version]["cudnn"]["url"].removeprefix(self.makers.server.base)
        )
        assert cudnn is not None
        self.site.change(cuda_definitions=self.makers.offer(version, runfile, cudnn))

    def uninstall(self, **variables: Any) -> Said:
        """Everything of ours goes."""
        return self.site.play("playbooks/uninstall.yml", uninstall_state=True, **variables).good()

    def everything(self, *tops: str) -> list[str]:
        """Sizes, times, modes and contents of all that is below, as root sees them."""
        done = self.host.ssh("python3", "-c", _LISTING, " ".join(_NOT_OURS), *tops, user="root")
        assert len(done.stdout.splitlines()) > len(tops)
        return sorted(done.stdout.splitlines())

    def path(self, version: str, what: str) -> str:
        """Below which path of the server that is."""
        return str(self.makers.definitions[version][what]["url"].removeprefix(self.makers.server.base))

    def sh(self, script: str) -> str:
        """As root, on the host."""
        return self.host.ssh("sh", "-ec", script, user="root").stdout

    def ls(self, folder: str) -> list[str]:
        """All names, sorted; nothing where there is no such folder."""
        return self.sh(f"[ ! -d {folder} ] || ls -A {folder}").split()

    def there(self, root: str, name: str) -> bool:
        """Whether a file of that name is below a folder."""
        return bool(self.sh(f"find {root} -name {name} | head -n 1").strip())

    def marker(self, version: str = "10.0") -> dict[str, Any]:
        """{} where there is none."""
        text = self.sh(f"cat /usr/local/cuda-{version}/{MARKER} 2>/dev/null || echo '{{}}'")
        return dict(json.loads(text))
