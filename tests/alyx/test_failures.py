"""Every failure of the recording, at every request: sorted, in time, and nothing of it ends the work."""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest
from alyx_day import Day
from alyx_lab import AlyxLab

from iblvideo_admin.alyx import login
from iblvideo_admin.alyx.client import Client
from iblvideo_admin.alyx.trouble import TroubleError
from iblvideo_admin.errors import UserError

LIMIT_S = 0.4
KINDS = {
    "500": "broken", "502 html": "away", "503": "away", "429": "away", "404": "refused", "400": "refused",
    "200 html": "away", "cut": "away", "hang": "away", "drip": "away", "close": "away", "no token": "login",
}  # fmt: skip


@pytest.fixture
def client(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("HOME", alyx_lab.environment["HOME"])
    return Client(alyx_lab.settings(IBLVIDEO_ADMIN_ALYX_LIMIT_S=str(LIMIT_S)))


@pytest.mark.parametrize("how", KINDS)
def test_what_each_failure_means(alyx_lab: AlyxLab, client: Client, how: str) -> None:
    task = alyx_lab.mouse("KS001")[1][1]
    client.user()
    calls = {
        "GET /tasks/": lambda: client.read("tasks", task),
        "PATCH /tasks": lambda: client.patch("tasks", task, priority=1),
        "GET /tasks": lambda: client.list("tasks"),
    }
    for match, call in calls.items():
        alyx_lab.server.faults.add(how, match, retry_after="7")
        begun = time.monotonic()
        with pytest.raises(TroubleError) as error:
            call()
        assert error.value.kind == KINDS[how] and alyx_lab.server.url in error.value.message
        assert error.value.retry_after_s == (7 if how in ("429", "503") else 0)
        assert time.monotonic() - begun < 5 * LIMIT_S + 3, "ONE itself would wait, or hang"
        call()


def test_a_token_that_died_is_replaced(alyx_lab: AlyxLab, client: Client) -> None:
    alyx_lab.mouse("KS001")
    assert len(client.list("tasks")) == 3
    alyx_lab.world.tokens.clear()
    assert len(client.list("tasks")) == 3
    alyx_lab.server.faults.add("bad token", "GET /tasks")
    assert len(client.list("tasks")) == 3


def test_a_token_that_is_refused_each_time_ends_in_a_sentence(alyx_lab: AlyxLab, client: Client) -> None:
    alyx_lab.server.faults.add("bad token", "GET /tasks", times=1000)
    with pytest.raises(TroubleError) as error:
        client.list("tasks")
    assert error.value.kind == "login" and alyx_lab.server.faults.count("POST /auth-token") <= 4


def test_a_wrong_password_and_its_correction(alyx_lab: AlyxLab, client: Client) -> None:
    alyx_lab.world.users["dlc_server"] = "another"
    with pytest.raises(TroubleError) as error:
        client.list("tasks")
    assert error.value.kind == "login" and error.value.as_error().code == "alyx.login"
    assert "secret" not in error.value.message and "*" not in error.value.message
    alyx_lab.write_parameters()
    assert client.list("tasks") == []


@pytest.mark.parametrize("how", ["502 html", "200 html", "close", "hang", "cut", "503"])
def test_what_goes_wrong_at_the_login_is_no_wrong_password(alyx_lab: AlyxLab, client: Client, how: str) -> None:
    alyx_lab.server.faults.add(how, "POST /auth-token")
    with pytest.raises(TroubleError) as error:
        client.list("tasks")
    assert error.value.kind == "away"


def test_nobody_listens(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", alyx_lab.environment["HOME"])
    caches = json.loads((alyx_lab.one / ".caches").read_text())
    caches["CLIENT_MAP"]["127.0.0.1_9"] = "/x"
    (alyx_lab.one / ".caches").write_text(json.dumps(caches))
    parameters = {"ALYX_URL": "http://127.0.0.1:9", "ALYX_LOGIN": "x", "ALYX_PWD": "y", "HTTP_DATA_SERVER": "http://x"}
    (alyx_lab.one / ".127.0.0.1_9").write_text(json.dumps(parameters))
    client = Client(alyx_lab.settings(IBLVIDEO_ADMIN_ALYX_URL="http://127.0.0.1:9/"))
    with pytest.raises(TroubleError) as error:
        client.list("tasks")
    assert error.value.kind == "away" and error.value.as_error().code == "alyx.not_reachable"


def test_odd_answers(alyx_lab: AlyxLab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON, but no Alyx's: a list where an object belongs, rows that are none."""
    from stand_ins.alyx import answers

    for odd in ([], "text", None, 7, {"count": 1, "next": None, "previous": None, "results": ["x"]}):
        monkeypatch.setattr(answers, "_page", lambda *_, odd=odd: odd)
        monkeypatch.setattr(answers, "_read", lambda *_, odd=odd: odd if not isinstance(odd, dict) else [odd])
        for call in (lambda: client.read("tasks", "x"), lambda: client.list("tasks")):
            with suppress(TroubleError):  # any other exception would be a bug
                assert call() == []


def test_pages_are_read_to_their_end_before_anything_is_claimed(alyx_lab: AlyxLab, client: Client) -> None:
    from iblvideo_admin.alyx import client as module

    for number in range(7):
        alyx_lab.world.pipeline(alyx_lab.world.session(f"KS{number}"))
    for limit in (1, 2, 3, 7, 1000):
        module._MOST_ON_A_PAGE = limit
        try:
            assert len(client.list("tasks", status="Waiting")) == 7
        finally:
            module._MOST_ON_A_PAGE = 1000


def test_a_list_that_becomes_shorter_between_two_pages(
    alyx_lab: AlyxLab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iblvideo_admin.alyx import client as module

    monkeypatch.setattr(module, "_MOST_ON_A_PAGE", 1)
    tasks = [alyx_lab.world.pipeline(alyx_lab.world.session(f"KS{number}"))[1] for number in range(4)]
    real, seen = alyx_lab.server.faults.of, []

    def of(request: str) -> object:
        if request.startswith("GET /tasks") and "offset" in request and not seen:
            seen.append(request)
            for task in tasks[:2]:
                alyx_lab.world.set_status(task, "Complete")
        return real(request)

    monkeypatch.setattr(alyx_lab.server.faults, "of", of)
    assert 1 <= len(client.list("tasks", status="Waiting")) <= 4 and seen


def test_the_throttle_of_alyx_stops_us_for_as_long_as_it_says(day: Day) -> None:
    day.lab.server.throttle = 0
    with pytest.raises(TroubleError) as error:
        day.look()
    assert error.value.kind == "away" and error.value.retry_after_s == 60
    assert 55 < day.drain.next_at - time.monotonic() <= 60


def test_a_look_that_fails_waits_longer_each_time(day: Day) -> None:
    day.lab.server.faults.down = True
    waits = []
    for _ in range(14):
        with pytest.raises(TroubleError):
            day.look()
        waits.append(day.drain.next_at - time.monotonic())
    assert waits[0] == pytest.approx(0.3, abs=0.1) and waits[3] == pytest.approx(2.4, abs=0.2) and waits[-1] <= 600
    assert day.book.noted("trouble")[1]  # type: ignore[index]
    day.lab.server.faults.down = False
    day.look()
    assert day.book.noted("trouble")[1] == "" and day.drain.next_at - time.monotonic() <= 0.3  # type: ignore[index]


@pytest.mark.parametrize(
    "broken",
    ["no folder", "no client", "damaged caches", "damaged parameters", "no login", "odd client map", "no address"],
)
def test_parameters_that_cannot_be_used_are_a_sentence(
    alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """ONE itself would ask, or write parameters of another Alyx."""
    monkeypatch.setenv("HOME", alyx_lab.environment["HOME"])
    (parameters,) = (path for path in alyx_lab.one.iterdir() if "127" in path.name)
    caches = alyx_lab.one / ".caches"
    settings = alyx_lab.settings()
    if broken == "no folder":
        parameters.unlink()
        caches.unlink()
        alyx_lab.one.rmdir()
    elif broken == "no client":
        caches.write_text('{"CLIENT_MAP": {}, "DEFAULT": null}')
    elif broken == "odd client map":
        caches.write_text('{"CLIENT_MAP": 7, "DEFAULT": []}')
    elif broken == "damaged caches":
        caches.write_text('{"CLIENT')
    elif broken == "damaged parameters":
        parameters.write_text("")
    elif broken == "no address":
        settings = alyx_lab.settings(IBLVIDEO_ADMIN_ALYX_URL="")
        parameters.write_text('{"ALYX_LOGIN": "x"}')
    else:
        alyx_lab.write_parameters(ALYX_LOGIN="")
    before = sorted(map(str, alyx_lab.one.parent.rglob("*")))
    with pytest.raises(UserError) as error:
        Client(settings)
    assert error.value.code == "alyx.not_configured" and "secret" not in error.value.message
    assert sorted(map(str, alyx_lab.one.parent.rglob("*"))) == before


def test_ones_files_are_closed_and_never_written(alyx_lab: AlyxLab, client: Client) -> None:
    """ONE makes them open to all, and writes into them in place: a kill just then would lose the password."""
    alyx_lab.write_parameters(TOKEN={"dlc_server": {"token": "0" * 40}})
    before = {path.name: path.read_bytes() for path in alyx_lab.one.iterdir()}
    for path in alyx_lab.one.iterdir():
        path.chmod(0o644)
    alyx_lab.one.chmod(0o755)
    login.url(client.settings, close=True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in alyx_lab.one.iterdir()}
    assert stat.S_IMODE(alyx_lab.one.stat().st_mode) == 0o700 and modes == {0o600}
    client.list("tasks")  # with a token that is dead
    alyx_lab.world.tokens.clear()
    client.list("tasks")
    assert {path.name: path.read_bytes() for path in alyx_lab.one.iterdir()} == before
    assert os.fspath(Path(login.folder())) == str(alyx_lab.one)


@pytest.mark.parametrize("name", ["", "a,status,20", "a']", "[1]", "x\n", "__import__('os')"])
def test_no_name_of_ours_is_more_than_a_name_to_alyx(
    alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from iblvideo_admin.alyx.drain import Drain

    monkeypatch.setenv("HOME", alyx_lab.environment["HOME"])
    with pytest.raises(UserError) as error:
        Drain(alyx_lab.settings(IBLVIDEO_ADMIN_DATA_REPOSITORY=name))
    assert error.value.code == "alyx.not_configured"


@pytest.mark.parametrize(
    "odd",
    [{"subject": "../../etc"}, {"subject": ""}, {"subject": ".one"}, {"number": 1000}, {"start_time": "2026/01/10"}],
)
def test_no_name_of_alyxs_leads_out_of_the_subjects_folder(day: Day, odd: dict[str, object]) -> None:
    session, (_, task, _) = day.mouse("KS001", "left")
    day.lab.world.sessions[session] |= odd
    day.pass_()
    assert day.lab.world.status(task) == "Errored" and not day.ledger.jobs()
    assert "no folder can have" in day.lab.world.tasks[task]["log"]


@pytest.mark.parametrize("content", ["", "[]", '{"ALYX_URL": 7', "null", '{"ALYX_LOGIN": "x", "TOKEN": [1]}'])
def test_parameters_that_are_damaged_while_it_runs(day: Day, content: str) -> None:
    """The role writes them anew, or somebody edits them: a sentence, and the next look reads them again."""
    day.lab.server.faults.down = True
    with pytest.raises(TroubleError):
        day.look()
    day.lab.server.faults.down = False
    (parameters,) = (path for path in day.lab.one.iterdir() if "127" in path.name)
    parameters.write_text(content)
    with pytest.raises((UserError, TroubleError)):
        day.look()
    day.lab.write_parameters()
    day.drain.client._one = None
    day.look()


def test_a_folder_of_a_persons_is_left_as_open_as_it_was(alyx_lab: AlyxLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of ibllib's GPU tasks may lie there, for our service to see."""
    monkeypatch.setenv("HOME", alyx_lab.environment["HOME"])
    alyx_lab.one.chmod(0o755)
    Client(alyx_lab.settings())
    assert stat.S_IMODE(alyx_lab.one.stat().st_mode) == 0o755
