"""What systemd hears, on real sockets."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblvideo_admin import systemd


@pytest.fixture
def there(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(2)
        yield listening


def test_notify(there: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", there.getsockname())
    systemd.notify("READY=1", "STATUS=two\nlines")
    assert there.recv(1000) == b"READY=1\nSTATUS=two lines"


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0iblvideo-admin-test-{os.getpid()}")
        listening.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@iblvideo-admin-test-{os.getpid()}")
        systemd.notify("WATCHDOG=1")
        assert listening.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/nowhere/at/all"])
def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("micros", "pid", "wanted"),
    [("60000000", "", 60.0), ("60000000", "1", None), ("x", "", None), ("0", "", None), (None, "", None)],
)
def test_the_watchdog(monkeypatch: pytest.MonkeyPatch, micros: str | None, pid: str, wanted: float | None) -> None:
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    if micros is None:
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_USEC", micros)
    assert systemd.watchdog_s() == wanted


def fields(datagram: bytes) -> dict[str, str]:
    """As the journal reads it (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    found = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", datagram[:8])
            value, datagram = datagram[8 : 8 + length], datagram[9 + length :]
        found[name.decode()] = value.decode()
    return found


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_a_message_with_fields(text: str) -> None:
    entry = b"".join(systemd._field(name, value) for name, value in {"MESSAGE": text, "IBLVIDEO_JOB": "7"}.items())
    assert fields(entry) == {"MESSAGE": text, "IBLVIDEO_JOB": "7"}


def test_the_journal_takes_it(there: socket.socket) -> None:
    assert systemd.journal("hello", 3, there.getsockname(), IBLVIDEO_GPU="GPU-a")
    assert fields(there.recv(1000)) == {
        "MESSAGE": "hello",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "iblvideo-admin",
        "IBLVIDEO_GPU": "GPU-a",
    }
    assert not systemd.journal("hello", 3, "/nowhere/at/all")


def test_whether_standard_error_is_the_journal() -> None:
    code = "from iblvideo_admin import systemd; print(systemd.is_journal())"
    with open(os.devnull, "wb") as error:
        status = os.fstat(error.fileno())
        for stream, wanted in ((f"{status.st_dev}:{status.st_ino}", "True"), ("1:2", "False"), ("x", "False")):
            done = subprocess.run(
                [sys.executable, "-c", code], env={**os.environ, "JOURNAL_STREAM": stream}, stdout=subprocess.PIPE,
                stderr=error, text=True, check=True,
            )  # fmt: skip
            assert done.stdout.strip() == wanted
