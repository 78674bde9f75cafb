"""Commands without the half second that Python needs to import them: a process that has, and forks for each.

What a test runs to its end goes through here; what is started beside it, has a library put before it or another
Python path is a new process, as every job's own and every engine's always are.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

_IMPORTED = (
    "cli.watching",
    "queue.hands",
    "queue.listing",
    "queue.processing",
    "queue.repair",
    "reporting.snapshot",
    "render.status",
)
_LENGTH_BYTES = 8


class Warm:
    """The process, begun at the first command."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._line, far = socket.socketpair()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": self.root}
        self._process = subprocess.Popen([sys.executable, __file__, str(far.fileno())], env=environment,
                                         stdin=subprocess.DEVNULL, pass_fds=[far.fileno()],
                                         start_new_session=True)  # fmt: skip
        far.close()
        atexit.register(self._end)

    def run(
        self, words: Sequence[str], environment: Mapping[str, str], limit_s: float
    ) -> subprocess.CompletedProcess[str]:
        """As :func:`subprocess.run` with text, of ``iblvideo-admin`` and these words."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            asked = json.dumps([list(words), dict(environment), str(Path.cwd())]).encode()
            head = len(asked).to_bytes(_LENGTH_BYTES, "big")
            self._line.settimeout(limit_s)
            try:
                socket.send_fds(self._line, [head], [out.fileno(), err.fileno()])
                self._line.sendall(asked)
                status = int.from_bytes(_exactly(self._line, _LENGTH_BYTES), "big", signed=True)
            except BaseException:  # no answer in time: the next command must not get this one's
                os.killpg(self._process.pid, signal.SIGKILL)
                warm.cache_clear()
                raise
            said = [_text(file) for file in (out, err)]
        return subprocess.CompletedProcess(list(words), status, *said)

    def _end(self) -> None:
        self._line.close()
        self._process.wait(10)


@cache
def warm(root: Path) -> Warm:
    """The one of the tests that run in this process."""
    return Warm(root)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _exactly(line: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        if not (more := line.recv(count - len(found))):
            raise EOFError
        found += more
    return found


def _serve(line: socket.socket) -> None:
    for name in _IMPORTED:
        importlib.import_module(f"iblvideo_admin.{name}")
    while True:
        head, streams, *_ = socket.recv_fds(line, _LENGTH_BYTES, 2)
        if not head:
            return
        words, environment, folder = json.loads(_exactly(line, int.from_bytes(head, "big")))
        if words[:1] == ["check-gpu"]:
            known = importlib.import_module("iblvideo_admin.gpu.known")
            known.scene()  # drawn once for all of them
        if "alyx" in words or words[:1] == ["find"]:
            importlib.import_module("iblvideo_admin.alyx.one_client")
            importlib.import_module("one.registration")
            importlib.import_module("iblvideo_admin.alyx.processing")
        child = os.fork()
        if child == 0:
            line.close()
            _become(words, environment, folder, streams)
        for stream in streams:
            os.close(stream)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        line.sendall(status.to_bytes(_LENGTH_BYTES, "big", signed=True))


def _become(words: list[str], environment: dict[str, str], folder: str, streams: list[int]) -> None:
    """The command, and no way back."""
    status = 1
    try:
        from iblvideo_admin.cli import main

        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["iblvideo-admin", *words]
        status = main()
    except BaseException:  # noqa: BLE001  whatever it is, it must not come out where the next command is waited for
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as near:
        _serve(near)
