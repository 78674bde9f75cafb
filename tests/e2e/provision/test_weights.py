"""The IBL's weights: with a login, trusted the first time, and the same on every server from then on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.provision.faulty import Faulty
from stand_ins.provision import download_server, ibl_server

from iblvideo_admin.demo import WEIGHTS

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]

WRONG = "wrong one"
TAGS = ("--tags", "base,weights")
PLACE = "/opt/iblvideo/weights"


@pytest.fixture
def place(faulty: Callable[..., Faulty]) -> Faulty:
    made = faulty(
        weights_source="",
        weights_version="2.1",
        data_server_user=ibl_server.USER,
        data_server_password=ibl_server.PASSWORD,
    )
    made.site.variables.pop("weights_name")
    made.site.change(data_server_url=made.makers.server.base)
    return made


def offer(place: Faulty, folder: Path, *, other: bool = False) -> str:
    """At the IBL's server; the sha256."""
    weights = WEIGHTS
    if other:
        weights = Path(shutil.copytree(WEIGHTS, folder / "other"))
        (next(weights.rglob("config.yaml")).parent / "added").write_text("x")
    archive = folder / Path(ibl_server.NETWORKS).name
    sha256 = ibl_server.networks(archive, weights)
    place.makers.server.publish(ibl_server.NETWORKS, archive)
    return sha256


def installed(place: Faulty) -> list[str]:
    return [name for name in place.ls(PLACE) if not name.startswith(".")]


def test_what_the_server_answers(place: Faulty, tmp_path: Path) -> None:
    offer(place, tmp_path)
    said = place.fails(
        "The weights could not be fetched from", ibl_server.NETWORKS, "the server answered 401.",
        f"data_server_user is {ibl_server.USER}", tags=TAGS, data_server_password=WRONG,
    )  # fmt: skip
    assert WRONG not in said.text
    place.fails("the server answered 401.", "data_server_user is empty", tags=TAGS, data_server_user="")
    place.fails(
        "the server answered 404.",
        "weights_version is 2.9: the IBL's versions have two numbers",
        tags=TAGS,
        weights_version="2.9",
    )
    place.fails("weights_source is empty", "weights_version (as in 2.1)", tags=TAGS, weights_version="")
    place.makers.server.faults[ibl_server.NETWORKS] = download_server.html()
    place.fails("weights_v2.1.zip is no .zip, or a damaged one", f"It came from {place.makers.server.base}", tags=TAGS)
    place.makers.server.faults[ibl_server.NETWORKS] = download_server.cut(3_000_000, times=1)
    place.run(*TAGS).good()
    assert installed(place) == ["current", "weights_v2.1"]


def test_trust_on_first_use(place: Faulty, faulty: Callable[..., Faulty], tmp_path: Path) -> None:
    sha256 = offer(place, tmp_path)
    said = place.run(*TAGS).good()
    assert f"weights_sha256={sha256}" in said.words
    assert place.sh(f"readlink {PLACE}/current") == "weights_v2.1\n"
    closed = place.sh(f"find {PLACE} ! -type l ! -perm -a+r; find {PLACE} -type d ! -perm -a+x")
    assert closed == "", "the service reads them"
    assert place.run(*TAGS).good().changes() == []
    assert len(place.makers.server.asked(ibl_server.NETWORKS)) == 1

    # a second server joins: it gets the very same, without another download
    second = faulty()
    place.site.servers.append(second.host)
    place.site.change()
    place.run(*TAGS).good()
    assert len(place.makers.server.asked(ibl_server.NETWORKS)) == 1
    marker = f"cat {PLACE}/weights_v2.1/.iblvideo-admin.json"
    assert place.sh(marker) == second.sh(marker) and sha256 in place.sh(marker)

    # the server has another archive by now, and whoever runs Ansible has no copy of the first
    other = offer(place, tmp_path, other=True)
    shutil.rmtree(place.site.folder / ".cache")
    second.sh(f"rm -r {PLACE}")
    place.fails(
        f"has the sha256 {other}, but other servers have {sha256} as weights_v2.1: set weights_sha256", tags=TAGS
    )
    assert installed(second) == []
    place.site.change(weights_sha256=sha256)
    place.fails(
        "The weights could not be fetched", f"weights_sha256 is {sha256}: what lies there is another file", tags=TAGS
    )
    offer(place, tmp_path)
    done = place.run(*TAGS).good()
    assert "weights_sha256=" not in done.words, "what was given is not asked for"
    assert sha256 in second.sh(marker)

    # the wrong one, on servers that have them
    place.fails(
        f"weights_sha256 is {other}, but {PLACE}/weights_v2.1 was made from an archive with {sha256}",
        "set weights_name to another name",
        tags=TAGS, weights_sha256=other,
    )  # fmt: skip
