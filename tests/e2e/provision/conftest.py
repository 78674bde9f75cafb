"""What the tests of provisioning share: the makers' servers, bare hosts, and one that was made ready."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.hosts import Host, Hosts
from e2e.provision.converged import VIDEO, Converged, converge
from e2e.provision.drivers import Server, drivers
from e2e.provision.faulty import Faulty, system_packages
from e2e.provision.makers import PYTHON37_AT, ROOT, SESSIONS, Archives, Makers, serving
from e2e.provision.site import Site
from stand_ins.provision import cuda_runfile, cudnn_archive
from stand_ins.provision.apt_repository import Repository

from iblvideo_admin.demo.session import render_session

Bare = Callable[..., Host]


@pytest.fixture(scope="session")
def stand_in_archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Installer and cuDNN of each CUDA version."""
    folder = tmp_path_factory.mktemp("archives")
    return {
        "10.0": (cuda_runfile.make(folder), cudnn_archive.make(folder)),
        "11.8": (
            cuda_runfile.make(folder, cuda_runfile.CUDA_11_8),
            cudnn_archive.make(folder, cudnn_archive.CUDNN_8_6_0),
        ),
    }


@pytest.fixture
def makers(hosts: Hosts, stand_in_archives: Archives) -> Iterator[Makers]:
    """The makers' servers, for one test: their faults and their log are its own."""
    with serving(hosts, stand_in_archives) as found:
        yield found


@pytest.fixture
def bare(hosts: Hosts, makers: Makers, python37: str) -> Iterator[Bare]:
    """A function that boots a host that has a place for sessions and nothing else; it may reach the makers."""
    booted: list[Host] = []

    def boot(**given: Any) -> Host:
        host = hosts.boot(**{"bind_ro": {python37: PYTHON37_AT}, **given})
        booted.append(host)
        host.allow_controller_port(makers.port)
        (host.root / SESSIONS.lstrip("/")).mkdir(parents=True)
        return host

    yield boot
    for host in booted:
        host.destroy()


@pytest.fixture(scope="session")
def python37() -> str:
    """The folder of a Python 3.7 of this machine, which hosts are given as a lab's server has one."""
    sys.path.insert(0, str(ROOT / "roles/python/files"))
    import find_python37

    found = find_python37.find()["python"]
    if not found:
        pytest.skip("SKIPPED: there is no Python 3.7 here to give to the hosts")
    return str(Path(found).resolve().parent.parent)


@pytest.fixture
def site(hosts: Hosts, makers: Makers, tmp_path: Path) -> Callable[..., Site]:
    """A function that makes a site of hosts; its variables are :meth:`Makers.variables`, and what is given."""

    def make(*servers: Host, **variables: Any) -> Site:
        return Site(hosts, tmp_path / "site", servers, **{**makers.variables(), **variables})

    return make


@pytest.fixture(scope="session")
def debs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return system_packages(tmp_path_factory.mktemp("debs"))


@pytest.fixture
def faulty(
    bare: Callable[..., Host], site: Callable[..., Site], makers: Makers, debs: list[Path]
) -> Callable[..., Faulty]:
    """A function that boots a host whose system packages are there already, with further variables of its inventory."""

    def make(**variables: Any) -> Faulty:
        host = bare()
        for deb in debs:
            (host.root / "srv" / deb.name).write_bytes(deb.read_bytes())
        host.ssh("sh", "-ec", "dpkg -i /srv/*.deb && rm /srv/*.deb && mkdir .ansible", user="root")
        host.ssh("mkdir", ".ansible")  # Ansible's own, which would change the homes' times
        return Faulty(host, site(host, **variables), makers)

    return make


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the drawn mouse from the body camera."""
    session = tmp_path_factory.mktemp("recording") / "session"
    render_session(session, ["body"], seconds=1.0)
    return session / VIDEO


@pytest.fixture(scope="session")
def converged(
    hosts: Hosts,
    python37: str,
    stand_in_archives: Archives,
    recording: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Converged]:
    """One host that was made ready; every test here finds it as the one before has left it."""
    with converge(hosts, tmp_path_factory.mktemp("site"), python37, stand_in_archives, recording) as found:
        yield found


@pytest.fixture(scope="session")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Repository]:
    """A function that makes a repository, each only once."""
    made: dict[str, Repository] = {}

    def make(drivers_of: dict[str, str], *, headers: bool = True) -> Repository:
        key = f"{sorted(drivers_of)} {headers}"
        if key not in made:
            made[key] = drivers(tmp_path_factory.mktemp("drivers"), drivers_of, headers=headers)
        return made[key]

    return make


@pytest.fixture
def server(hosts: Hosts, tmp_path: Path) -> Iterator[Server]:
    made = Server(hosts, tmp_path / "site")
    yield made
    made.host.destroy()


@pytest.fixture(scope="module")
def unchanging(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for everything that is refused before anything is installed."""
    made = Server(hosts, tmp_path_factory.mktemp("unchanging"))
    yield made
    made.host.destroy()
