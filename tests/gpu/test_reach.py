"""Which drivers and toolchains serve cards: what NVIDIA's matrix says, and what must hold for any cards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin import toolchains
from iblvideo_admin.gpu import families, reach

GPU, CPU = toolchains.load("dlc-tf1-cuda10.0"), toolchains.load("dlc-tf1-cpu")
CARDS = {
    "kepler": "10de:102d", "old kepler": "10de:1180", "maxwell": "10de:13c2", "pascal": "10de:1b06",
    "volta": "10de:1db4", "turing": "10de:1e04", "ampere": "10de:2204", "ada": "10de:2684", "blackwell": "10de:2b85",
}  # fmt: skip
CHIPS = st.lists(st.sampled_from(families.chips()), max_size=4)
VERSIONS = st.tuples(st.integers(300, 700), st.integers(0, 300)).map(lambda pair: f"{pair[0]}.{pair[1]:02}")


def chip(name: str) -> families.Chip:
    found = families.chip_of(CARDS[name], None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("names", "holds", "not_these"),
    [
        (["kepler"], ["410", "410.48", "470.256.02", "470"], ["535", "390.157", "410.47"]),
        (["maxwell", "pascal"], ["410.48", "535.183.01-1", "580", "580.95.05"], ["590", "590.44.01", "595"]),
        (["turing"], ["410", "410.48", "590", "700.1"], ["410.30", "384"]),
        (["kepler", "turing"], ["470"], ["535"]),
        (["ampere"], ["455", "590"], ["450.80.02", "450"]),
        (["ampere", "pascal"], ["455", "580"], ["450", "590"]),
        (["kepler", "ada"], [], ["470", "520", "535"]),
    ],
)
def test_branches(names: list[str], holds: list[str], not_these: list[str]) -> None:
    found = reach.branches([chip(name) for name in names], GPU)
    assert [version for version in [*holds, *not_these] if found.holds(version)] == holds


def test_reasons() -> None:
    found = reach.branches([chip("pascal"), chip("kepler"), chip("turing")], GPU)
    assert (found.first, found.last) == ((410, 48), 470)
    assert found.first_because == "toolchain dlc-tf1-cuda10.0 needs driver 410.48"
    assert found.last_because == "it is the last branch that knows Kepler"
    assert reach.branches([chip("ada")], GPU).first_because == "Ada cards need it"
    assert reach.branches([], CPU) == reach.Branches((0,), "toolchain dlc-tf1-cpu takes any driver", None, "")


@pytest.mark.parametrize("version", ["", "auto", "latest", "v470", "-1", "nvidia-driver-470"])
def test_what_is_no_version_is_none(version: str) -> None:
    """A word in an inventory is refused, not taken for the newest driver."""
    assert not reach.branches([chip("turing")], GPU).holds(version)
    assert not reach.branches([chip("pascal")], GPU).holds(version)


@given(CHIPS, VERSIONS)
def test_a_driver_serves_all_only_where_it_serves_each(chips: list[families.Chip], version: str) -> None:
    together = reach.branches(chips, GPU).holds(version)
    assert together == all(reach.branches([one], GPU).holds(version) for one in [*chips, chip("turing")])


@given(CHIPS, VERSIONS)
def test_a_branch_is_its_newest_driver(chips: list[families.Chip], version: str) -> None:
    found = reach.branches(chips, GPU)
    if found.holds(version):
        assert found.holds(version.partition(".")[0])
        assert found.last is None or int(version.partition(".")[0]) <= found.last


@given(CHIPS)
def test_auto_is_the_gpu_only_where_it_serves_each(chips: list[families.Chip]) -> None:
    served = [name for name in reach.ON_GPU if chips and all(reach.serves(toolchains.load(name), one) for one in chips)]
    assert reach.toolchain_for([one.capability for one in chips]) == [*served, reach.WITHOUT_GPU][0]
    assert reach.toolchain_for([*(one.capability for one in chips), None]) == reach.WITHOUT_GPU


def test_who_is_served() -> None:
    served = [name for name in CARDS if reach.serves(GPU, chip(name))]
    assert served == ["kepler", "maxwell", "pascal", "volta", "turing"]
    assert not any(reach.serves(CPU, chip(name)) for name in CARDS) and not reach.serves(GPU, None)
