"""People's logins on a server that is made ready: they become members, and stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e.provision.faulty import Faulty

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("hosts"), pytest.mark.timeout(1200)]

BASE = ("--tags", "base")


def test_a_login_that_the_service_is_to_use(faulty: Callable[..., Faulty]) -> None:
    place = faulty(base_user="labuser", base_group_members=["deploy"])
    place.sh("useradd --create-home --shell /bin/bash labuser && touch /home/labuser/thesis")
    before = place.sh("getent passwd labuser deploy")
    place.run(*BASE).good()
    assert place.sh("getent passwd labuser deploy") == before
    for name in ("labuser", "deploy"):
        assert "iblvideo" in place.sh(f"id --name --groups {name}").split()
    assert place.run(*BASE).good().changes() == []


def test_a_member_that_has_no_login(faulty: Callable[..., Faulty]) -> None:
    place = faulty(base_group_members=["deploy", "alicce"])
    before = place.sh("cat /etc/passwd /etc/group")
    place.fails("base_group_members names alicce, but this server has no such login", "adduser alicce", tags=BASE)
    assert place.sh("cat /etc/passwd /etc/group") == before
    place.site.change(base_group_members=["deploy"])
    place.run(*BASE).good()
    assert place.sh("getent passwd iblvideo").split(":")[5:] == ["/var/lib/iblvideo-admin", "/usr/sbin/nologin\n"]
    assert place.run(*BASE).good().changes() == []
