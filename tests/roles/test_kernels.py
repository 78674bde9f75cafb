"""The headers of the next kernel come with it: by what brings the kernels, whatever it is called."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

LATER = "6.12.48-1~bpo12+1"
DEBIAN = {
    "linux-image-amd64": "6.1.112-1",
    "linux-headers-amd64": "6.1.112-1",
    "linux-headers-cloud-amd64": "6.1.112-1",
}
UBUNTU = {
    name: version
    for kind in ("image", "headers")
    for name, version in {
        f"linux-{kind}-generic": "5.15.0.119.119", f"linux-{kind}-virtual": "5.15.0.119.119",
        f"linux-{kind}-generic-hwe-22.04": "6.8.0-45.45~22.04.1", f"linux-{kind}-aws": "6.8.0-1015.16",
        f"linux-{kind}-virtual-hwe-22.04": "6.8.0-45.45~22.04.1", f"linux-{kind}-oem-22.04d": "6.5.0.1024.26",
    }.items()
}  # fmt: skip


def policy(offered: dict[str, str], **installed: str) -> str:
    """As `apt-cache policy` prints it; `installed` with _ for -."""
    there = {name.replace("_", "-").replace("22-04", "22.04"): version for name, version in installed.items()}
    said = ""
    for name in {**offered, **there}:
        candidate, has = offered.get(name, there.get(name)), there.get(name, "(none)")
        said += f"{name}:\n  Installed: {has}\n  Candidate: {candidate}\n  Version table:\n"
        said += f"     {candidate} 500\n        500 http://archive.example/x y/main amd64 Packages\n"
        if has not in ("(none)", candidate):
            said += f" *** {has} 100\n        100 /var/lib/dpkg/status\n"
    return said


@pytest.mark.parametrize(
    ("release", "offered", "installed", "wanted"),
    [
        ("6.1.0-25-amd64", DEBIAN, {"linux_image_amd64": "6.1.106-3"}, ["linux-headers-amd64"]),
        ("6.1.0-25-amd64", DEBIAN, {}, ["linux-headers-amd64"]),
        ("6.1.0-25-cloud-amd64", DEBIAN, {}, ["linux-headers-cloud-amd64"]),
        ("6.1.0-25-rt-amd64", DEBIAN, {"linux_image_rt_amd64": "6.1.106-3"}, []),
        ("6.8.0-40-generic", UBUNTU, {"linux_image_generic_hwe_22_04": "6.8.0-40.40~22.04.3"},
         ["linux-headers-generic-hwe-22.04"]),
        ("5.15.0-118-generic", UBUNTU, {"linux_image_generic": "5.15.0.118.118"}, ["linux-headers-generic"]),
        ("5.15.0-118-generic", UBUNTU, {"linux_image_virtual": "5.15.0.118.118"}, ["linux-headers-virtual"]),
        ("6.8.0-40-generic", UBUNTU,
         {"linux_image_generic": "5.15.0.118.118", "linux_image_virtual_hwe_22_04": "6.8.0-40.40~22.04.3"},
         ["linux-headers-generic", "linux-headers-virtual-hwe-22.04"]),
        ("6.8.0-1014-aws", UBUNTU, {"linux_image_aws": "6.8.0-1014.15", "linux_image_generic": "5.15.0.118.118"},
         ["linux-headers-aws"]),
        ("6.5.0-1023-oem", UBUNTU, {"linux_image_oem_22.04d": "6.5.0.1023.25"}, ["linux-headers-oem-22.04d"]),
        ("5.15.0-118-generic", UBUNTU, {}, ["linux-headers-generic"]),
        ("6.8.12-4-pve", DEBIAN, {}, []),
        ("6.18.0", {}, {}, []),
    ],
)  # fmt: skip
def test_the_headers_that_follow_the_kernel(
    cards: ModuleType, release: str, offered: dict[str, str], installed: dict[str, str], wanted: list[str]
) -> None:
    said = policy(offered, **installed)
    assert cards.kernel_headers(said, release) == wanted
    asked = re.compile(cards.kernel_names(release))
    assert all(asked.fullmatch(name) for name in wanted), "apt would not be asked for it"


def test_a_kernel_from_backports_takes_its_headers_from_there(cards: ModuleType) -> None:
    """Apt itself would take those of the older kernel."""
    said = f"""\
linux-image-amd64:
  Installed: {LATER}
  Candidate: {LATER}
  Version table:
 *** {LATER} 100
        100 http://archive.example/debian bookworm-backports/main amd64 Packages
        100 /var/lib/dpkg/status
     6.1.112-1 500
        500 http://archive.example/debian bookworm/main amd64 Packages
linux-headers-amd64:
  Installed: INSTALLED
  Candidate: CANDIDATE
  Version table:
     {LATER} 100
        100 http://archive.example/debian bookworm-backports/main amd64 Packages
     6.1.112-1 500
        500 http://archive.example/debian bookworm/main amd64 Packages
"""
    bare = said.replace("INSTALLED", "(none)").replace("CANDIDATE", "6.1.112-1")
    wanted = cards.kernel_headers(bare, "6.12.48+deb12-amd64")
    assert wanted == [f"linux-headers-amd64={LATER}"] == cards.missing(wanted, bare)
    again = said.replace("INSTALLED", LATER).replace("CANDIDATE", LATER)
    assert cards.missing(cards.kernel_headers(again, "6.12.48+deb12-amd64"), again) == []


def test_only_what_may_be_wanted_is_asked_for(cards: ModuleType) -> None:
    asked = re.compile(cards.kernel_names("6.8.0-40-generic"))
    for name in ("linux-image-6.8.0-40-generic", "linux-image-unsigned-6.8.0-40-generic", "linux-headers-aws",
                 "linux-generic", "linux-image-generichwe"):  # fmt: skip
        assert not asked.fullmatch(name), name
