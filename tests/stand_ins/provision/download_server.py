"""An HTTP server with files under the paths of their real addresses, logins, a log, and faults that a test orders."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>NVIDIA Developer</form></body></html>\n"
_PIECE = 16 * 1024


@dataclass
class Request:
    """What was asked and how it is answered; in the log before the other side has seen any of it."""

    method: str
    path: str
    status: int
    sent: int
    """Bytes of the content, as far as the connection took them."""
    user: str | None = None
    range: str | None = None
    agent: str | None = None


@dataclass
class Fault:
    """How a path is answered; by default as if nothing were wrong."""

    status: int = 0
    """This status instead of the file: 404, 503 ..."""
    times: int = -1
    """So often, then all is well; -1: for ever."""
    cut_after: int | None = None
    """The connection ends after so many bytes of a longer content."""
    stall_after: int | None = None
    """Nothing more comes after so many bytes; the connection stays."""
    bytes_per_s: int = 0
    content: bytes | None = None
    """This instead of the file: with status 200, and the length right."""
    content_type: str | None = None


def missing() -> Fault:
    """404."""
    return Fault(status=404)


def unavailable(times: int = -1) -> Fault:
    """503 so often, then the file."""
    return Fault(status=503, times=times)


def cut(after: int, times: int = -1) -> Fault:
    """The connection is lost half-way."""
    return Fault(cut_after=after, times=times)


def stalled(after: int = 0, times: int = -1) -> Fault:
    """Nothing comes any more."""
    return Fault(stall_after=after, times=times)


def slow(bytes_per_s: int) -> Fault:
    """A download that lasts."""
    return Fault(bytes_per_s=bytes_per_s)


def wrong(content: bytes = b"not what it should be\n") -> Fault:
    """Another file under this name."""
    return Fault(content=content)


def html() -> Fault:
    """A page to sign in, with status 200: what NVIDIA gives without a login, and what many proxies give."""
    return Fault(content=HTML, content_type="text/html; charset=utf-8")


class DownloadServer:
    """Serves a folder, and single files under given addresses.  As a context manager it runs while the block does.

    ``address`` is where it listens: that of a bridge, for a container.  ``logins`` are path prefix -> (user, password).
    ``faults`` are path -> fault; both may be changed at any time.
    """

    def __init__(self, folder: Path | None = None, *, address: str = "127.0.0.1", port: int = 0,
                 logins: Mapping[str, tuple[str, str]] | None = None, ranges: bool = True) -> None:  # fmt: skip
        self.folder, self.ranges = folder, ranges
        self.logins, self.faults = dict(logins or {}), dict[str, Fault]()
        self.log: list[Request] = []
        self._files, self._redirects = dict[str, Path](), dict[str, str]()
        self._lock, self._closing = threading.Lock(), threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer((address, port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> DownloadServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()  # whoever is stalled may go
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def base(self) -> str:
        """``http://ADDRESS:PORT``."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def url(self, address: str) -> str:
        """Where this server has what really lies at an address (or path)."""
        return self.base + urlsplit(address).path

    def publish(self, address: str, file: Path) -> str:
        """Serve a file under an address's path; returns the address here."""
        self._files[urlsplit(address).path] = file
        return self.url(address)

    def redirect(self, address: str, target: str) -> str:
        """Answer 302: as developer.nvidia.com sends on to developer.download.nvidia.com."""
        self._redirects[urlsplit(address).path] = self.url(target)
        return self.url(address)

    def asked(self, path: str) -> list[Request]:
        """The requests of one path, in their order."""
        return [request for request in list(self.log) if request.path == urlsplit(path).path]

    def file(self, path: str) -> Path | None:
        """What is served at a path; nothing outside of the folder."""
        if found := self._files.get(path):
            return found
        if self.folder is None:
            return None
        file = (self.folder / path.lstrip("/")).resolve()
        return file if file.is_file() and file.is_relative_to(self.folder.resolve()) else None

    def refuses(self, path: str, given: str | None) -> bool:
        """Whether the login that a path wants was not given."""
        wanted = [login for prefix, login in self.logins.items() if path.startswith(prefix)]
        return bool(wanted) and all(given != base64.b64encode(":".join(login).encode()).decode() for login in wanted)

    def fault(self, path: str) -> Fault:
        """What is wrong with this request; counts it."""
        with self._lock:
            fault = self.faults.get(path, Fault())
            if fault.times == 0:
                return Fault()
            if fault.times > 0:
                fault.times -= 1
            return fault

    def target(self, path: str) -> str | None:
        """Where a path is sent on to."""
        return self._redirects.get(path)

    def wait(self, seconds: float) -> None:
        """Until the server is closed, or so long."""
        self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    owner: DownloadServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        given = self.headers.get("Authorization", "").removeprefix("Basic ") or None
        fault = self.owner.fault(path)
        if self.owner.refuses(path, given):
            self._plain(path, 401, {"WWW-Authenticate": 'Basic realm="Restricted"'})
        elif fault.status:
            self._plain(path, fault.status, {"Retry-After": "1"} if fault.status == 503 else {})
        elif target := self.owner.target(path):
            self._plain(path, 302, {"Location": target})
        elif fault.content is not None:
            self._send(path, fault.content, fault, 0.0)
        elif file := self.owner.file(path):
            self._send(path, file.read_bytes(), fault, file.stat().st_mtime)
        else:
            self._plain(path, 404, {})

    def _plain(self, path: str, status: int, headers: Mapping[str, str]) -> None:
        self._log(path, status)
        text = f"{status} {self.responses[status][0]}\n".encode()
        self._head(status, len(text), {"Content-Type": "text/plain", **headers})
        if self.command != "HEAD":
            self.wfile.write(text)

    def _send(self, path: str, content: bytes, fault: Fault, changed: float) -> None:
        status, headers = 200, {"Content-Type": fault.content_type or "application/octet-stream"}
        headers["Last-Modified"] = formatdate(changed, usegmt=True)
        if self.owner.ranges:
            headers["Accept-Ranges"] = "bytes"
            asked = self.headers.get("Range", "")
            if asked.startswith("bytes=") and (first := asked[6:].split("-")[0]).isdigit():
                if int(first) >= len(content):
                    self._plain(path, 416, {"Content-Range": f"bytes */{len(content)}"})
                    return
                status, whole, content = 206, len(content), content[int(first) :]
                headers["Content-Range"] = f"bytes {first}-{whole - 1}/{whole}"
        request = self._log(path, status)
        self._head(status, len(content), headers)
        for piece in self._pieces(content, fault) if self.command != "HEAD" else ():
            request.sent += len(piece)
            try:
                self.wfile.write(piece)
            except OSError:  # the other side has gone: no fault of this one
                request.sent -= len(piece)
                self.close_connection = True
                return

    def _pieces(self, content: bytes, fault: Fault) -> Iterator[bytes]:
        end = min(end for end in (fault.cut_after, fault.stall_after, len(content)) if end is not None)
        size = max(1, fault.bytes_per_s // 10) if fault.bytes_per_s else _PIECE
        for start in range(0, end, size):
            yield content[start : min(start + size, end)]
            if fault.bytes_per_s:
                time.sleep(0.1)
        if end < len(content):
            self.close_connection = True
            if fault.stall_after == end:
                self.owner.wait(600)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def _log(self, path: str, status: int) -> Request:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        user = base64.b64decode(given, validate=False).decode(errors="replace").split(":")[0] if given else None
        headers = self.headers.get("Range"), self.headers.get("User-Agent")
        request = Request(self.command, path, status, 0, user, *headers)
        self.owner.log.append(request)
        return request

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal: the log is for tests."""
