"""Where a server has no Python 3.7 it gets one: from packages, from a PPA, or from its source."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.hosts import Host
from e2e.provision.makers import Makers, sha256
from e2e.provision.releases import pretend
from e2e.provision.site import Said, Site
from stand_ins.provision import python_source
from stand_ins.provision.apt_repository import Package, Repository
from stand_ins.provision.python_packages import python_packages

from iblvideo_admin import toolchains

pytestmark = [pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200), pytest.mark.full]

INTERPRETER = "/srv/interpreter"  # nobody looks for one there
TARGET = f"{INTERPRETER}/bin/python3.7"
SOURCE = yaml.safe_load((toolchains.FOLDER / "sources/python-3.7.yml").read_text())
BUILT = "opt/iblvideo/python3.7/bin/python3.7"
HEADERS = ("openssl/ssl.h", "zlib.h", "bzlib.h", "lzma.h", "ffi.h", "sqlite3.h", "readline/readline.h")


class Server:
    """A host without a Python 3.7, and what is offered to it."""

    def __init__(self, host: Host, site: Site, makers: Makers, folder: Path) -> None:
        self.host, self.site, self.makers, self.folder = host, site, makers, folder

    def packages(self, *packages: Package, name: str = "local") -> str:
        """A repository of these, and no other, is on the host; gives the line that names it."""
        repository = Repository(self.folder / name, signed=False)
        repository.add(*packages)
        repository.publish()
        shutil.copytree(repository.folder, self.host.root / "srv" / name)
        return repository.source(f"file:/srv/{name}")

    def sources(self, *lines: str) -> None:
        """What apt knows; Debian's own archive is not among it."""
        (self.host.root / "etc/apt/sources.list.d/debian.sources").unlink(missing_ok=True)
        (self.host.root / "etc/apt/sources.list.d/local.list").write_text("".join(lines))

    def archive(self, **given: Any) -> dict[str, str]:
        """Python's source at its address; gives the variables that lead there."""
        folder = self.folder / f"source-{len(list(self.folder.glob('source-*')))}"
        path = python_source.make(folder, target=TARGET, **given)
        return {"python37_url": self.makers.server.publish(SOURCE["url"], path), "python37_sha256": sha256(path)}

    def play(self, *arguments: str, **variables: Any) -> Said:
        return self.site.play("playbooks/environment.yml", "--tags", "python", *arguments, **variables)

    def works(self, python: str) -> None:
        """It makes environments, which have pip."""
        self.host.ssh("rm", "-rf", "/tmp/venv")
        self.host.ssh(python, "-m", "venv", "/tmp/venv")
        assert "python 3.7" in self.host.ssh("/tmp/venv/bin/pip", "--version").stdout


@pytest.fixture
def server(
    bare: Callable[..., Host], site: Callable[..., Site], makers: Makers, python37: str, tmp_path: Path
) -> Server:
    host = bare(bind_ro={python37: INTERPRETER})
    made = Server(host, site(host, python37_executable="", base_min_free_gb=0), makers, tmp_path)
    made.sources()
    return made


def build_needs(*, headers: bool = True, compiler: bool = True) -> list[Package]:
    """Stand-ins for what a build needs; `make` is Debian's."""
    files: dict[str, str] = {f"/usr/include/{name}": "" for name in HEADERS} if headers else {}
    tools = {"/usr/bin/cc": "#!/bin/sh\nexit 0\n"} if compiler else {}
    return [Package("stand-in-headers", "1", files=files), Package("stand-in-cc", "1", ("make",), files=tools)]


NEEDED = ["stand-in-headers", "stand-in-cc", "xz-utils"]


@pytest.fixture
def builder(server: Server) -> Server:
    """A server that can build: Debian's archive, and stand-ins for compiler and headers."""
    shutil.copy("/etc/apt/sources.list.d/debian.sources", server.host.root / "etc/apt/sources.list.d/debian.sources")
    line = server.packages(*build_needs())
    (server.host.root / "etc/apt/sources.list.d/local.list").write_text(line)
    server.site.change(python37_build_packages=NEEDED)
    return server


def test_packages_that_are_whole_together(server: Server) -> None:
    server.sources(server.packages(*python_packages(target=TARGET)))
    assert "would install" not in server.play("--check", python37_install=False).failed("No usable Python 3.7").words
    server.play().good()
    server.works("/usr/bin/python3.7")
    assert server.play().good().changes() == []
    assert not (server.host.root / BUILT).exists()
    assert "would install python3.7, python3.7-venv, python3.7-distutils" not in server.play("--check").good().words


def test_half_a_python_is_none_and_the_source_is_built(builder: Server) -> None:
    """A `python3.7` without `python3.7-venv` cannot make environments."""
    half = python_packages(target=TARGET)[:1]
    with (builder.host.root / "etc/apt/sources.list.d/local.list").open("a") as file:
        file.write(builder.packages(*half, name="half"))
    found = builder.archive()
    assert "would build Python 3.7.17 from source" in builder.play("--check", **found).good().words
    builder.play(**found).good()
    assert not (builder.host.root / "usr/bin/python3.7").exists()
    builder.works(f"/{BUILT}")
    left = [path.name for path in (builder.host.root / "opt/iblvideo/downloads").iterdir()]
    assert left == [] and len(builder.makers.server.asked(SOURCE["url"])) == 1
    assert builder.play(**found).good().changes() == []
    assert len(builder.makers.server.asked(SOURCE["url"])) == 1


def test_a_build_that_fails(builder: Server) -> None:
    """One sentence with its own last words, and nothing left that would be taken for a Python."""
    words = {
        "configure": ["no acceptable C compiler found in $PATH", "See `config.log' for more details"],
        "make": ["Programs/python.o] Error 1"],
        "install": ["altinstall] Error 1"],
    }
    for fails, sentences in words.items():
        said = builder.play(**builder.archive(fails=fails)).failed("Python 3.7.17 could not be built:", *sentences)
        assert "Build one by hand (for example with pyenv) and name it in python37_executable" in said.words
        if fails == "configure":
            assert "No rule to make target" not in said.words
        assert not list((builder.host.root / "opt/iblvideo/downloads").iterdir())
    wrong = builder.archive() | {"python37_sha256": "0" * 64}
    said = builder.play(**wrong).failed(
        "could not be fetched", "its sha256 is", "set python37_url to an address of the right"
    )
    assert "could not be built" in said.words
    builder.play(**builder.archive()).good()
    builder.works(f"/{BUILT}")


def test_a_python_that_lacks_a_module(server: Server) -> None:
    """Where headers are missing the build succeeds all the same; only the finder sees it."""
    shutil.copy("/etc/apt/sources.list.d/debian.sources", server.host.root / "etc/apt/sources.list.d/debian.sources")
    packages = [Package("stand-in-headers", "1", files={"/usr/include/zlib.h": ""}), *build_needs()[1:]]
    (server.host.root / "etc/apt/sources.list.d/local.list").write_text(server.packages(*packages))
    server.site.change(python37_build_packages=NEEDED)
    server.play(**server.archive()).failed(f"No usable Python 3.7 was found (/{BUILT} fails", "No module named '_ssl'")


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "half"])
def test_a_ppa(builder: Server, whole: bool) -> None:
    """On Ubuntu; one that has no whole Python is taken out again.  It lies on the host: Launchpad cannot be reached."""
    pretend(builder.host, "Ubuntu 22.04")
    ppa = builder.packages(*python_packages(target=TARGET)[: None if whole else 1], name="ppa").strip()
    given = builder.archive() | {"_python_source": SOURCE | {"ppa": ppa}}
    builder.play(**given).good()
    builder.works("/usr/bin/python3.7" if whole else f"/{BUILT}")
    assert bool(builder.host.ssh("grep", "-rl", "/srv/ppa", "/etc/apt", check=False).stdout) == whole
    assert builder.play(**given).good().changes() == []


def test_a_ppa_that_cannot_be_reached(builder: Server) -> None:
    pretend(builder.host, "Ubuntu 22.04")
    said = builder.play(**builder.archive()).good()
    assert "ppa:deadsnakes/ppa was not added" in said.words
    builder.works(f"/{BUILT}")


def test_systems_that_nobody_has_tried_are_refused(server: Server) -> None:
    for release in ("Ubuntu 20.04", "Debian 13"):
        pretend(server.host, release)
        server.play().failed(
            f"This host runs {release}", "supported are Ubuntu 22.04 and 24.04 and Debian 12 on x86_64"
        )
    server.sources(server.packages(*python_packages(target=TARGET)))
    server.play(base_supported_only=False).good()
    server.works("/usr/bin/python3.7")
