"""What systemd wants to hear of a service, and the journal's own way to take messages with fields.

Both are datagrams to a socket (sd_notify(3), systemd's "Native Journal Protocol"); without systemd nothing is sent.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress

JOURNAL = "/run/systemd/journal/socket"


def notify(*lines: str) -> None:
    """Tell the service manager, as in ``READY=1`` or ``STATUS=...``; nobody listens where NOTIFY_SOCKET is not set."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        # in `@name` the name begins with a zero byte
        _send(
            "\n".join(line.replace("\n", " ") for line in lines).encode(),
            f"\0{address[1:]}" if address[0] == "@" else address,
        )


def watchdog_s() -> float | None:
    """How often at least the service manager wants to hear ``WATCHDOG=1``; None where it does not."""
    try:
        micros = int(os.environ["WATCHDOG_USEC"])
        mine = int(os.environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except (KeyError, ValueError):
        return None
    return micros / 1e6 if mine and micros > 0 else None


def is_journal() -> bool:
    """Whether what goes to standard error lands in the journal."""
    try:
        device, inode = map(int, os.environ["JOURNAL_STREAM"].split(":"))
        status = os.fstat(sys.stderr.fileno())
    except (KeyError, ValueError, OSError):
        return False
    return (status.st_dev, status.st_ino) == (device, inode)


def journal(message: str, priority: int, address: str = JOURNAL, **fields: str) -> bool:
    """Send a message with fields (capitals) to the journal; whether it was taken.  ``priority`` as in syslog(3)."""
    entry = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "iblvideo-admin", **fields}
    return _send(b"".join(_field(name, value) for name, value in entry.items()), address)


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def _send(data: bytes, address: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
        there.setblocking(False)  # a journal that does not listen stops no job
        there.sendto(data, address)
        return True
    return False
