"""The server that provisioning downloads from: files at their real paths, logins, and faults as they are ordered."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins.provision import download_server as servers
from stand_ins.provision.download_server import DownloadServer

CONTENT = bytes(range(256)) * 1000
REAL = "https://developer.nvidia.com/compute/cuda/10.0/Prod/local_installers/cuda_10.0.130_410.48_linux"
PATH = "/compute/cuda/10.0/Prod/local_installers/cuda_10.0.130_410.48_linux"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DownloadServer]:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "www/resources").mkdir(parents=True)
    (tmp_path / "www/resources/other").write_bytes(b"other")
    with DownloadServer(tmp_path / "www", logins={"/resources/": ("iblmember", "secret")}) as running:
        running.publish(REAL, tmp_path / "file")
        yield running


def get(url: str, *, limit_s: float = 10, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  it is the server's own
    with urllib.request.urlopen(request, timeout=limit_s) as answer:  # noqa: S310  the same
        return answer.read()


def status(url: str, **headers: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url, **headers)
    return caught.value.code


def test_a_file_at_its_real_path(server: DownloadServer) -> None:
    assert server.url(REAL) == server.base + PATH
    assert get(server.url(REAL)) == CONTENT
    assert get(server.url(REAL), Range="bytes=255999-") == CONTENT[-1:]
    assert get(server.redirect("/short", REAL)) == CONTENT
    assert status(server.url("/nothing")) == 404
    assert [(r.path, r.status, r.sent) for r in server.log] == [
        (PATH, 200, 256000), (PATH, 206, 1), ("/short", 302, 0), (PATH, 200, 256000), ("/nothing", 404, 0),
    ]  # fmt: skip


def test_nothing_outside_of_the_folder(server: DownloadServer) -> None:
    connection = http.client.HTTPConnection(server.base.removeprefix("http://"))
    connection.request("GET", "/../file")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_login(server: DownloadServer) -> None:
    url = server.url("/resources/other")
    assert status(url) == 401
    assert status(url, Authorization="Basic aWJsbWVtYmVyOndyb25n") == 401
    assert get(url, Authorization="Basic aWJsbWVtYmVyOnNlY3JldA==") == b"other"
    assert [(r.user, r.status) for r in server.asked("/resources/other")] == [
        (None, 401), ("iblmember", 401), ("iblmember", 200),
    ]  # fmt: skip


def test_faults(server: DownloadServer) -> None:
    url = server.url(REAL)
    server.faults[PATH] = servers.unavailable(times=2)
    assert [status(url), status(url), get(url)] == [503, 503, CONTENT]
    server.faults[PATH] = servers.missing()
    assert status(url) == 404
    server.faults[PATH] = servers.html()
    assert get(url) == servers.HTML
    server.faults[PATH] = servers.wrong(b"other")
    assert get(url) == b"other"
    server.faults[PATH] = servers.cut(1000, times=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(url)
    assert caught.value.partial == CONTENT[:1000]
    assert get(url, Range="bytes=1000-") == CONTENT[1000:]


def test_a_stalled_download_ends_with_the_server(server: DownloadServer) -> None:
    server.faults[PATH] = servers.stalled(1000)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        get(server.url(REAL), limit_s=0.5)
    server.__exit__()
    assert time.monotonic() - start < 5
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", int(server.base[-5:]))):
        pass


def test_a_slow_download(server: DownloadServer) -> None:
    server.faults[PATH] = servers.slow(1_000_000)
    start = time.monotonic()
    assert get(server.url(REAL)) == CONTENT
    assert time.monotonic() - start > 0.2


@pytest.mark.skipif(shutil.which("curl") is None, reason="SKIPPED: there is no curl")
def test_curl_goes_on_where_it_was_cut(server: DownloadServer, tmp_path: Path) -> None:
    server.faults[PATH] = servers.cut(1000, times=1)
    command = ["/usr/bin/env", "curl", "-s", "-o", tmp_path / "got", "-C", "-", server.url(REAL)]
    assert subprocess.run(command, check=False).returncode == 18
    assert subprocess.run(command, check=False).returncode == 0
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert [request.range for request in server.asked(PATH)] == [None, "bytes=1000-"]
