"""The HTTP side of the local hub: routes, ranges and faults."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fakes import hub_faults as faults
from tests.fakes.hub_contents import Content

if TYPE_CHECKING:
    from tests.fakes.hub import FakeHub, Repository, Served

_API = re.compile(r"^/api/models/([^/]+/[^/]+?)(?:/(revision|tree|paths-info)/([^/]+))?$")
_FILE = re.compile(r"^/([^/]+/[^/]+)/(?:resolve|raw)/([^/]+)/(.+)$")
_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
_REDIRECTING = (301, 302, 307, 308)


class HubServer(ThreadingHTTPServer):
    """One of the two servers; a request a thread, all ended by ``stop``."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, hub: FakeHub, elsewhere: bool, send_buffer_bytes: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.elsewhere = elsewhere
        self.send_buffer_bytes = send_buffer_bytes
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self._open: set[socket.socket] = set()

    def serve(self) -> None:
        """Until ``stop``."""
        self.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """Hang up on everybody and wait for the threads."""
        self.shutdown()
        for connection in list(self._open):
            _hang_up(connection)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer_bytes)
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer
    served: Served

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """The list of requests is the log."""

    def _answer(self) -> None:
        from tests.fakes.hub import Served

        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.served = Served(self.command, self.path, headers, self.server.elsewhere)
        if api := _API.match(url.path):
            self._api(api)
        elif file := _FILE.match(url.path):
            self._file(file)
        else:
            self.server.hub.record(self.served)
            self._refuse(404, {"X-Error-Code": "EntryNotFound"})

    # Metadata

    def _api(self, match: re.Match[str]) -> None:
        name, kind, revision = match[1], match[2], unquote(match[3] or "main")
        fault = self.server.hub.record(self.served)
        if isinstance(fault, faults.Answer):
            return self._refuse(fault.status, fault.headers)
        repository, commit = self._known(name, revision)
        if repository is None or commit is None:
            return None
        files = repository.commits[commit]
        if kind == "tree":
            return self._json([_entry(path, content) for path, content in sorted(files.items())])
        if kind == "paths-info":
            return self._json([_entry(path, files[path]) for path in self._paths() if path in files])
        siblings = [_sibling(path, content, "blobs" in self.query) for path, content in sorted(files.items())]
        known = {"_id": "0", "id": name, "modelId": name, "sha": commit, "private": False, "tags": []}
        return self._json({**known, "gated": "auto" if repository.gated else False, "siblings": siblings})

    def _paths(self) -> list[str]:
        if "json" in self.headers.get("Content-Type", ""):
            return list(json.loads(self.body)["paths"])
        return parse_qs(self.body.decode()).get("paths", [])

    def _known(self, name: str, revision: str) -> tuple[Repository | None, str | None]:
        """The repository and commit, or the refusal is sent."""
        repository = self.server.hub.repositories.get(name)
        if repository is None:
            self._refuse(404 if self.served.token else 401, {"X-Error-Code": "RepoNotFound"})
            return None, None
        commit = repository.at(revision)
        if commit is None:
            self._refuse(404, {"X-Error-Code": "RevisionNotFound"})
        return repository, commit

    # Files

    def _file(self, match: re.Match[str]) -> None:
        hub = self.server.hub
        name, revision, path = match[1], unquote(match[2]), unquote(match[3])
        self.served.repository, self.served.path = name, path
        fault = hub.record(self.served) or faults.Fault()
        repository, commit = self._known(name, revision)
        if repository is None or commit is None:
            return None
        if repository.gated and not self.server.elsewhere and self.served.token != repository.token:
            refusal = faults.gated() if self.served.token else faults.Answer(401, faults.gated().headers)
            return self._refuse(refusal.status, refusal.headers)
        content = repository.commits[commit].get(path)
        if content is None:
            return self._refuse(404, {"X-Error-Code": "EntryNotFound"})
        return self._serve(content, fault, commit)

    def _serve(self, content: Content, fault: faults.Fault, commit: str) -> None:
        from tests.fakes.hub import is_large

        hub, path = self.server.hub, self.served.path
        if isinstance(fault, faults.Answer):
            return self._refuse(fault.status, fault.headers)
        if isinstance(fault, faults.RedirectTo):
            return self._redirect(fault.location or self.path, {})
        if isinstance(fault, faults.OtherEtag):
            hub.etags[self.served.repository, path] = fault.etag
        large = is_large(path, content)
        told = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        told["ETag"] = self._etag(content, large)
        if large and not self.server.elsewhere:
            linked = {"X-Linked-Size": str(content.size_bytes), "X-Linked-Etag": f'"{content.sha256}"'}
            return self._redirect(f"{hub.elsewhere}{quote(self.path)}", {**told, **linked})
        return self._send(content, fault, told)

    def _etag(self, content: Content, large: bool) -> str:
        other = self.server.hub.etags.get((self.served.repository, self.served.path))
        return other or f'"{content.sha256 if large else content.blob_id}"'

    def _send(self, content: Content, fault: faults.Fault, headers: dict[str, str]) -> None:
        size = content.size_bytes
        start, stop = self._range(size, headers["ETag"], fault)
        if start >= size and self.served.range and start:
            return self._refuse(416, {"Content-Range": f"bytes */{size}"})
        partial = start > 0 or stop < size
        if partial and isinstance(fault, faults.WrongRange):
            start = max(0, start + fault.by_bytes)
        length = stop - start + (fault.by_bytes if isinstance(fault, faults.WrongSize) else 0)
        if partial:
            headers = {**headers, "Content-Range": f"bytes {start}-{start + length - 1}/{size}"}
        self._begin(206 if partial else 200, {**headers, "Content-Length": str(max(0, length))})
        if self.command != "HEAD":
            self.served.start = start
            self._body(content, start, max(start, start + length), fault)
        return None

    def _range(self, size: int, etag: str, fault: faults.Fault) -> tuple[int, int]:
        asked = _RANGE.match(self.served.range or "")
        expected = self.headers.get("If-Range")
        if asked is None or isinstance(fault, faults.NoRanges) or (expected is not None and expected != etag):
            return 0, size
        return int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size

    def _body(self, content: Content, start: int, stop: int, fault: faults.Fault) -> None:
        for piece in _spoilt(content, start, stop, fault):
            self._write(piece)
            if isinstance(fault, faults.Slow) and self.server.hub.stopping.wait(fault.pause_s):
                break
        if isinstance(fault, faults.Stall):
            self._wait_for_hanging_up()
        if isinstance(fault, faults.Meanwhile):
            fault.act()
            self.close_connection = True
        if isinstance(fault, faults.Cut):
            self._cut(fault.reset)

    def _write(self, piece: bytes) -> None:
        """Count what the kernel took, also of a piece that the reader's end interrupts."""
        view = memoryview(piece)
        while view:
            sent = self.connection.send(view)
            self.served.bytes_sent += sent
            view = view[sent:]

    def _wait_for_hanging_up(self) -> None:
        """A reader that hangs up ends the reading, and so does the hub's end, which shuts the connection."""
        self.connection.recv(1)
        self.close_connection = True

    def _cut(self, reset: bool) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # close() would wait for the file objects of the handler
        else:
            _hang_up(self.connection)
        self.close_connection = True

    # Short answers

    def _json(self, data: object) -> None:
        body = json.dumps(data).encode()
        self._begin(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _redirect(self, location: str, headers: dict[str, str]) -> None:
        self._begin(302, {**headers, "Location": location, "Content-Length": "0"})

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        self._begin(status, {**headers, "Content-Length": "0"})

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.served.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _spoilt(content: Content, start: int, stop: int, fault: faults.Fault) -> Iterator[bytes]:
    """The body as the fault leaves it."""
    end = content.size_bytes
    if isinstance(fault, faults.Cut | faults.Stall | faults.Meanwhile):
        stop = min(stop, start + fault.after_bytes)
    if isinstance(fault, faults.Slow):
        step = fault.piece_bytes
        yield from (content.read(at, min(step, stop - at)) for at in range(start, stop, step))
        return
    at = 0
    for piece in content.pieces(start, min(stop, end)):
        if isinstance(fault, faults.WrongBytes) and at <= fault.at_byte < at + len(piece):
            index = fault.at_byte - at
            piece = piece[:index] + bytes([piece[index] ^ 0x55]) + piece[index + 1 :]
        yield piece
        at += len(piece)
    if stop > end:
        yield bytes(stop - max(start, end))


def _entry(path: str, content: Content) -> dict[str, Any]:
    """A file as ``tree`` and ``paths-info`` tell it."""
    from tests.fakes.hub import is_large

    entry: dict[str, Any] = {"type": "file", "oid": content.blob_id, "size": content.size_bytes, "path": path}
    if is_large(path, content):
        entry["lfs"] = {"oid": content.sha256, "size": content.size_bytes, "pointerSize": 134}
    return entry


def _sibling(path: str, content: Content, full: bool) -> dict[str, Any]:
    """A file as ``revision`` tells it."""
    if not full:
        return {"rfilename": path}
    entry = _entry(path, content)
    told = {"rfilename": path, "size": entry["size"], "blobId": entry["oid"]}
    if "lfs" in entry:
        told["lfs"] = {"sha256": entry["lfs"]["oid"], "size": entry["size"], "pointerSize": 134}
    return told


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the reader was faster
