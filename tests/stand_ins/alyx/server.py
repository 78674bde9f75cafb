"""The HTTP of the stand-in: one thread per connection, the answers and the faults of the recording."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
import uuid
import zlib
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import answers
from .faults import Fault, Faults
from .registering import RefusedError
from .world import ConflictError, World

HTML = "<!DOCTYPE html><html><body><h1>Log in to the network</h1></body></html>"
_LENGTH = 1_000_000
S3_KEY = "AKIASTANDIN"


class Server:
    """An Alyx (``url``) and a data server (``data_url``) on two ports of this machine.

    ``throttle`` is how many requests a user may make in a minute; ``data`` is the data server's folder.
    """

    def __init__(self, data: Path, *, pause_s: float = 0.0, throttle: int = 100_000) -> None:
        self.faults, self.data_faults = Faults(), Faults()
        self.data, self.throttle = data, throttle
        self.data_login: tuple[str, str] | None = ("ibl", "secret-password-3")
        self.ranges: list[str] = []
        self.asked: dict[str, deque[float]] = {}
        self._servers = [_listening(self, _Alyx), _listening(self, _Data)]
        self.url, self.data_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        self.world = World(self.data_url, pause_s)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.faults.ended.set()
        self.data_faults.ended.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _listening(mine: Server, handler: type[_Handler]) -> ThreadingHTTPServer:
    class Listening(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """Who went away in the middle is no news."""

    return Listening(("127.0.0.1", 0), type(handler.__name__, (handler,), {"mine": mine}))


class _Handler(BaseHTTPRequestHandler):
    mine: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def _serve(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        fault = self._faults().of(f"{method} {self.path}")
        if fault is not None and fault.how == "late":
            self._faults().ended.wait(fault.seconds)
        elif fault is not None and not fault.after:
            self._fail(fault)
            return
        status, headers, content = self._answer(method, body)
        if fault is not None:
            self._fail(fault, content, headers)
            return
        self._send(status, headers, content)

    def _faults(self) -> Faults:
        raise NotImplementedError

    def _answer(self, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def _send(self, status: int, headers: dict[str, str], content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _fail(  # noqa: C901  one for each failure
        self, fault: Fault, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        how = fault.how
        if how == "kill":
            self._faults().kill()
        if how in ("close", "late", "kill"):
            self._hang_up()
        elif how == "hang":
            self._faults().ended.wait(fault.seconds)
            self._hang_up()
        elif how == "drip":  # a byte now and then: no silence is ever long
            self.send_response(200)
            self.send_header("Content-Length", str(_LENGTH))
            self.end_headers()
            until = time.monotonic() + fault.seconds
            while time.monotonic() < until and not self._faults().ended.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
            self._hang_up()
        elif how == "cut":
            whole = content or b'{"count": 3, "results": ['
            self._send(
                200, headers or {"Content-Type": "application/json"}, whole[: max(len(whole) // 2, 1)], len(whole) + 10
            )
            self._hang_up()
        elif how == "200 html":
            self._send(200, {"Content-Type": "text/html"}, HTML.encode())
        elif how == "bad token":
            self._refuse(403, {"detail": "Invalid token."})
        elif how == "no token":
            self._refuse(403, {"detail": "Authentication credentials were not provided."})
        elif how.endswith("html"):
            self._send(int(how.split()[0]), {"Content-Type": "text/html"}, HTML.encode())
        elif how == "429":
            self._refuse(429, {"detail": "Request was throttled."}, {"Retry-After": fault.retry_after})
        else:
            self._refuse(int(how), {"detail": "boom"}, {"Retry-After": fault.retry_after} if how == "503" else {})

    def _refuse(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        text = json.dumps({**content, "status_code": status}).encode()
        self._send(status, {"Content-Type": "application/json", **(headers or {})}, text)

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


class _Alyx(_Handler):
    def _faults(self) -> Faults:
        return self.mine.faults

    def _answer(self, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        kind = {"Content-Type": "application/json"}
        try:
            status, content = self._content(method, body)
        except RefusedError as refused:
            headers = {"Retry-After": "60"} if refused.code == 429 else {}
            return refused.code, {**kind, **headers}, json.dumps(refused.content).encode()
        except ConflictError as conflict:
            return 500, kind, json.dumps({"detail": str(conflict), "status_code": 500}).encode()
        except ValueError as error:
            return 400, kind, json.dumps({"detail": str(error), "status_code": 400}).encode()
        return status, kind, json.dumps(content).encode()

    def _content(self, method: str, body: bytes) -> tuple[int, Any]:
        split = urlsplit(self.path)
        if method == "POST" and split.path == "/auth-token":
            return self._log_in(body)
        user = self._user(split.path)
        query = dict(parse_qsl(split.query))
        data = json.loads(body) if body else {}
        return answers.answer(self.mine.world, method, split.path, query, data, user, self.mine.url)

    def _log_in(self, body: bytes) -> tuple[int, Any]:
        is_json = "json" in (self.headers.get("Content-Type") or "")
        given = json.loads(body) if is_json else dict(parse_qsl(body.decode()))
        world = self.mine.world
        if world.users.get(given.get("username", "")) != given.get("password", ""):
            raise RefusedError(400, non_field_errors=["Unable to log in with provided credentials."])
        with world.lock:
            for token, user in world.tokens.items():
                if user == given["username"]:
                    return 200, {"token": token}
            token = uuid.uuid4().hex + uuid.uuid4().hex[:8]
            world.tokens[token] = given["username"]
        return 200, {"token": token}

    def _user(self, path: str) -> str:
        if path == "/api/schema":
            return ""
        given = (self.headers.get("Authorization") or "").split()
        if len(given) != 2:
            raise RefusedError(403, detail="Authentication credentials were not provided.")
        user = self.mine.world.tokens.get(given[1])
        if user is None:
            raise RefusedError(403, detail="Invalid token.")
        asked = self.mine.asked.setdefault(user, deque())
        while asked and time.monotonic() - asked[0] > 60:
            asked.popleft()
        if len(asked) >= self.mine.throttle:
            raise RefusedError(429, detail="Request was throttled. Expected available in 60 seconds.")
        asked.append(time.monotonic())
        return user


class _Data(_Handler):
    """Static files behind basic authentication, with ranges; below ``/bucket`` the same for who signs as for S3."""

    def _faults(self) -> Faults:
        return self.mine.data_faults

    def _answer(self, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        login = self.mine.data_login
        wanted = "Basic " + base64.b64encode(":".join(login).encode()).decode() if login else ""
        given = self.headers.get("Authorization") or ""
        signed = f"Credential={S3_KEY}/" in given
        if login and given != wanted and not signed:
            return 401, {"WWW-Authenticate": 'Basic realm="data"'}, b""
        path = self.mine.data / urlsplit(self.path).path.removeprefix("/bucket" if signed else "").lstrip("/")
        if ".." in path.parts or not path.is_file():
            return 404, {}, b"not here"
        content = path.read_bytes()
        mark = f'"{zlib.crc32(content):x}"'
        given = self.headers.get("Range", "")
        self.mine.ranges.append(given)
        if not given.startswith("bytes=") or self.headers.get("If-Range", mark) != mark:
            return 200, {"Content-Type": "application/octet-stream", "ETag": mark}, content
        first, _, last = given.removeprefix("bytes=").partition("-")
        if int(first) >= len(content):
            return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
        end = int(last) + 1 if last else len(content)
        part = content[int(first) : end]
        return 206, {"ETag": mark, "Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"}, part
