"""``find``: where the traces of a session are, with Alyx and without it."""

from __future__ import annotations

import pytest
from alyx_day import Day
from alyx_lab import md5_of_bytes

from iblvideo_admin.alyx import finding
from iblvideo_admin.errors import UserError


def cameras(day: Day, what: str, *, offline: bool = False) -> dict[str, dict]:
    (session,) = finding.find(what, day.settings, offline=offline)["sessions"]
    return session["cameras"]


def test_a_session_by_its_id_and_by_its_mouse(day: Day) -> None:
    session, _ = day.mouse("KS001", "left", "body")
    day.corrupt = ("KS001 body",)
    day.pass_()
    for what in (session, "KS001"):
        found = cameras(day, what)
        left, content = found["left"], day.lab.tables()["KS001 left"]
        assert (left["local"]["md5"], left["local"]["weights"]) == (md5_of_bytes(content), "weights_v9.9")
        there = left["registered"]
        assert there["here"] and there["on"] == ["testlab_SR"] and there["weights"] == "weights_v9.9" and left["agree"]
        assert found["body"] == {"video": True, "local": None, "registered": None, "agree": None}
        offline = cameras(day, what, offline=True)
        assert offline["left"]["local"] == left["local"] and offline["left"]["registered"] is None


def test_a_trace_that_only_alyx_has(day: Day) -> None:
    session = day.lab.world.session("KS007")
    day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"x", version="iblvideo_3.2.0", protected=True)
    left = cameras(day, session)["left"]
    assert left["local"] is None and left["registered"]["version"] == "iblvideo_3.2.0"
    assert left["registered"]["weights"] is None and left["registered"]["protected"]
    with pytest.raises(UserError) as error:
        finding.find("KS007", day.settings, offline=True)
    assert error.value.code == "path.missing"


def test_what_does_not_agree_and_what_is_doubled_is_said(day: Day) -> None:
    session, _ = day.mouse("KS001", "left")
    day.pass_()
    day.lab.at("KS001", "left").table.write_bytes(b"another")
    assert cameras(day, "KS001")["left"]["agree"] is False
    day.lab.world.dataset(session, "_ibl_leftCamera.dlc.pqt", b"x")
    assert cameras(day, "KS001")["left"]["registered"]["doubled"]


def test_without_an_answer_it_says_what_it_knows_itself(day: Day) -> None:
    session, _ = day.mouse("KS001", "left")
    day.pass_()
    day.lab.server.faults.down = True
    found = finding.find(session, day.settings)
    assert not found["alyx"] and "does not answer" in found["because"]
    assert found["sessions"][0]["cameras"]["left"]["local"]["weights"] == "weights_v9.9"


@pytest.mark.parametrize("what", ["..", ".", "../KS001", "/etc", "nobody", "00000000-0000-4000-8000-000000000000", ""])
def test_nobody_knows_it(day: Day, what: str) -> None:
    day.mouse("KS001", "left")
    with pytest.raises(UserError) as error:
        finding.find(what, day.settings)
    assert error.value.code == "path.missing"


def test_the_command(day: Day) -> None:
    session, _ = day.mouse("KS001", "left")
    day.pass_()
    done = day.lab.run("find", session)
    assert done.returncode == 0, done.stderr
    assert "here, weights_v9.9" in done.stdout and "on testlab_SR" in done.stdout and session in done.stdout
    document = day.lab.json("find", "nobody", "--offline")
    assert (document["exit_code"], document["errors"][0]["code"]) == (2, "path.missing")
