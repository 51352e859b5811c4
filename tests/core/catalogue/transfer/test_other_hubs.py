"""Mirrors need not be like our own test hub: names only, one file at a time, old HTTP, headers of Xet."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.catalogue.catalogue import Asset, CatalogueFile
from core.catalogue.hub import Hub
from core.catalogue.transfer.download import download
from core.errors import BadCheckpoint, NetworkError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = hashlib.shake_128(b"large").digest(700_001)
SMALL = b'{"a": 1}'
PIECE = 300_000
LISTED = {"id": "maker/model", "sha": COMMIT, "siblings": [{"rfilename": "a.bin"}, {"rfilename": "b.json"}]}


class PlainHub(BaseHTTPRequestHandler):
    """Tells names only; serves large files at another path, without ranges, and hangs up at times."""

    protocol_version = "HTTP/1.0"
    seen: list[tuple[str, str, str | None]]
    ranges: bool
    listing: bytes = json.dumps(LISTED).encode()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Range")))
        if self.path.startswith("/api/models/maker/model/revision/main"):
            self.reply(self.listing, {"Content-Type": "application/json"})
        elif self.path == f"/maker/model/resolve/{COMMIT}/a.bin":
            self.reply(
                b"",
                {
                    "Location": f"http://localhost:{self.server.server_port}/cdn/a.bin?signature=x",
                    "X-Linked-Etag": f'"{hashlib.sha256(LARGE).hexdigest()}"',
                    "X-Linked-Size": str(len(LARGE)),
                    "X-Repo-Commit": COMMIT,
                    "X-Xet-Hash": "f" * 64,
                    "Link": '<https://cas.invalid/auth>; rel="xet-auth"',
                },
                302,
            )
        elif self.path == f"/maker/model/resolve/{COMMIT}/b.json":
            blob = hashlib.sha1(b"blob %d\0" % len(SMALL) + SMALL).hexdigest()
            self.reply(SMALL, {"ETag": f'"{blob}"', "X-Repo-Commit": COMMIT})
        elif self.path.startswith("/cdn/a.bin"):
            self.large()
        else:
            self.reply(b"", {}, 404)

    def large(self) -> None:
        first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers["Range"] else 0
        if not self.ranges or not first:
            self.reply(LARGE, {"ETag": 'W/"weak"'}, most=None if not self.ranges else PIECE)
            return
        told = f"bytes {first}-{len(LARGE) - 1}/{len(LARGE)}"
        self.reply(LARGE[first:], {"Content-Range": told}, 206, most=PIECE)

    def reply(self, body: bytes, headers: dict[str, str], status: int = 200, most: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:most])

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def plain(loopback: None, request: pytest.FixtureRequest) -> Iterator[Any]:  # noqa: ARG001
    handler = type("Handler", (PlainHub,), {"seen": [], "ranges": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def asset(*files: CatalogueFile) -> Asset:
    return Asset("a", "A", "transformer", "maker/model", files, "fp16", "wan", "?")


def test_a_bare_listing_is_completed_file_by_file(plain, clock, tmp_path: Path) -> None:
    handler, endpoint = plain
    found = Hub(endpoint).resolve(asset(CatalogueFile("a.bin"), CatalogueFile("b.json")))
    assert found.revision == COMMIT
    assert [file.size_bytes for file in found.files] == [len(LARGE), len(SMALL)]
    for file, content in zip(found.files, (LARGE, SMALL), strict=True):
        assert download(file, tmp_path / file.path, clock=clock).read_bytes() == content
    resumed = [one for _, _, one in handler.seen if one]
    assert ({f"bytes={PIECE}-", f"bytes={2 * PIECE}-"} <= set(resumed)) == handler.ranges


def test_the_catalogue_s_sha256_holds_where_the_hub_has_only_git_s(plain, tmp_path: Path) -> None:
    _, endpoint = plain
    right = hashlib.sha256(SMALL).hexdigest()
    found = Hub(endpoint).resolve(asset(CatalogueFile("b.json", sha256=right))).files[0]
    assert found.sha256 == right
    wrong = Hub(endpoint).resolve(asset(CatalogueFile("b.json", sha256="0" * 64))).files[0]
    with pytest.raises(BadCheckpoint):
        download(wrong, tmp_path / "b.json")


def test_an_answer_that_nests_without_end_is_one_sentence(plain) -> None:
    handler, endpoint = plain
    handler.listing = b"[" * 100_000
    with pytest.raises(NetworkError, match="not a hub's"):
        Hub(endpoint).revision("maker/model")
