"""A file arrives whole and right, or not at all; whatever the server, the connection or the disk does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stand_ins.provision import download_server
from stand_ins.provision.download_server import DownloadServer

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/resources/file"
LOGIN = ("member", "s3cret")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DownloadServer]:
    (tmp_path / "content").write_bytes(CONTENT)
    with DownloadServer() as running:
        running.publish(PATH, tmp_path / "content")
        yield running


class Fetcher:
    def __init__(self, module: ModuleType, server: DownloadServer, folder: Path) -> None:
        self.module, self.server, self.dest = module, server, folder / "dest"
        self.slept: list[float] = []

    def run(self, **given: Any) -> dict[str, Any]:
        params: dict[str, Any] = {"url": self.server.url(PATH), "dest": str(self.dest), "sha256": SHA256, "user": "",
                                  "password": "", "attempts": 4, "pause_s": 5.0, "timeout_s": 1.0}  # fmt: skip
        return dict(self.module.download({**params, **given}, self.slept.append))

    def fails(self, reason: str, said: str, **given: Any) -> Any:
        with pytest.raises(self.module.Failed, match=said) as caught:
            self.run(**given)
        assert caught.value.reason == reason
        assert not self.dest.exists()
        return caught.value


@pytest.fixture
def fetcher(downloaded_file: ModuleType, server: DownloadServer, tmp_path: Path) -> Fetcher:
    return Fetcher(downloaded_file, server, tmp_path)


def test_once(fetcher: Fetcher) -> None:
    assert fetcher.run() == {"changed": True, "sha256": SHA256, "attempts": 1}
    assert fetcher.dest.read_bytes() == CONTENT and fetcher.dest.stat().st_mode & 0o7777 == 0o644
    assert fetcher.run(sha256=SHA256.upper()) == {"changed": False, "sha256": SHA256, "attempts": 0}
    assert fetcher.run(sha256="")["changed"] is False
    assert len(fetcher.server.log) == 1
    fetcher.dest.write_bytes(b"bit rot")
    assert fetcher.run()["changed"] and fetcher.dest.read_bytes() == CONTENT


def test_a_cut_connection_is_gone_on_with(fetcher: Fetcher) -> None:
    fetcher.server.faults[PATH] = download_server.cut(100_000, times=2)
    assert fetcher.run()["attempts"] == 3
    assert fetcher.dest.read_bytes() == CONTENT
    assert [request.range for request in fetcher.server.log] == [None, "bytes=100000-", "bytes=200000-"]
    assert fetcher.slept == [5, 5]


def test_also_where_the_server_cannot_go_on(fetcher: Fetcher) -> None:
    fetcher.server.ranges = False
    fetcher.server.faults[PATH] = download_server.cut(100_000, times=1)
    assert fetcher.run()["attempts"] == 2
    assert fetcher.dest.read_bytes() == CONTENT


def test_one_that_is_always_cut_is_said_with_how_far_it_came(fetcher: Fetcher) -> None:
    fetcher.server.faults[PATH] = download_server.cut(10_000)
    fetcher.fails("cut", r"the connection was lost after 40000 of 300000 bytes")
    assert len(fetcher.server.log) == 4
    fetcher.server.faults.clear()
    assert fetcher.run()["attempts"] == 1, "the next run goes on with it"
    assert fetcher.server.log[-1].range == "bytes=40000-" and fetcher.dest.read_bytes() == CONTENT


def test_a_silent_server_is_tried_again(fetcher: Fetcher) -> None:
    fetcher.server.faults[PATH] = download_server.stalled(50_000, times=1)
    assert fetcher.run(timeout_s=0.3)["attempts"] == 2
    fetcher.dest.unlink()
    fetcher.server.faults[PATH] = download_server.stalled(0)
    fetcher.fails("cut", "lost after 0 bytes .*timed out", timeout_s=0.2, attempts=2)


def test_what_is_busy_is_tried_again(fetcher: Fetcher) -> None:
    fetcher.server.faults[PATH] = download_server.unavailable(times=2)
    assert fetcher.run()["attempts"] == 3
    fetcher.dest.unlink()
    fetcher.server.faults[PATH] = download_server.unavailable()
    assert fetcher.fails("status", "the server answered 503").status == 503


@pytest.mark.parametrize(("status", "reason"), [(401, "login"), (403, "login"), (404, "missing"), (400, "status")])
def test_what_stays_so_is_asked_once(fetcher: Fetcher, status: int, reason: str) -> None:
    fetcher.server.faults[PATH] = download_server.Fault(status=status)
    assert fetcher.fails(reason, f"the server answered {status}").status == status
    assert len(fetcher.server.log) == 1 and fetcher.slept == []


def test_another_file_is_asked_for_once(fetcher: Fetcher) -> None:
    fetcher.server.faults[PATH] = download_server.wrong()
    fetcher.fails("sha256", f"its sha256 is [0-9a-f]{{64}}, wanted is {SHA256}")
    fetcher.server.faults[PATH] = download_server.html()
    fetcher.fails("sha256", "it is a web page")
    assert len(fetcher.server.log) == 2 and list(fetcher.dest.parent.glob("dest*")) == []


def test_half_of_another_file_is_begun_anew(fetcher: Fetcher) -> None:
    part = fetcher.dest.with_name("dest.part")
    for content in (b"x" * 1000, b"x" * 300_000, b"x" * 400_000):
        part.write_bytes(content)
        fetcher.run()
        assert fetcher.dest.read_bytes() == CONTENT and not part.exists()
        fetcher.dest.unlink()


def test_without_a_checksum_halves_are_not_put_together(fetcher: Fetcher) -> None:
    fetcher.dest.with_name("dest.part").write_bytes(b"of another time")
    assert fetcher.run(sha256="")["sha256"] == SHA256
    assert fetcher.server.log[-1].range is None


def test_without_a_checksum_what_was_cut_is_not_trusted(fetcher: Fetcher) -> None:
    fetcher.server.faults[PATH] = download_server.cut(10_000)
    fetcher.fails("cut", "of 300000 bytes", sha256="")


def test_no_room(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fetcher.module.write

    class Full:
        def write(self, _: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetcher.module, "write", lambda _, block: real(Full(), block))
    fetcher.fails("room", "No space left on device")
    assert list(fetcher.dest.parent.glob("dest*")) == [], "what did not fit takes no room"


def test_nobody_answers(fetcher: Fetcher) -> None:
    fetcher.fails("unreachable", "does not answer", url="http://127.0.0.1:1/x")
    assert fetcher.slept == [5, 5, 5]
    fetcher.fails("unreachable", "that is no address", url="nonsense")


def test_the_login_is_for_the_named_server_only(fetcher: Fetcher, tmp_path: Path) -> None:
    fetcher.server.logins["/resources/"] = LOGIN
    fetcher.fails("login", "the server answered 401")
    fetcher.fails("login", "the server answered 401", user=LOGIN[0], password=LOGIN[0])
    assert fetcher.run(user=LOGIN[0], password=LOGIN[1])["changed"]
    assert fetcher.server.log[-1].user == LOGIN[0]
    with DownloadServer() as other:
        other.publish("/elsewhere", tmp_path / "content")
        fetcher.dest.unlink()
        fetcher.server._redirects[PATH] = other.url("/elsewhere")
        fetcher.run(user=LOGIN[0], password=LOGIN[1])
        assert [request.user for request in other.log] == [None]


def test_a_login_in_the_address(fetcher: Fetcher) -> None:
    fetcher.server.logins["/resources/"] = ("me@lab", "a:b/c")
    address = fetcher.server.url(PATH).replace("//", "//me%40lab:a%3Ab%2Fc@")
    assert fetcher.run(url=address)["changed"]
    fetcher.dest.unlink()
    error = fetcher.fails("login", "401", url=address.replace("a%3A", "x"))
    assert "lab" not in str(error)
