"""A hub on this machine's loopback: metadata as huggingface_hub asks for it, bytes with ranges, and faults.

Small files are served by the hub itself, large ones (``is_large``) through a redirect to a second server, as
the real hub does; both are recorded. Use it with the fixture ``loopback``::

    with FakeHub(folder) as hub:          # folder/<owner>/<name>/<path in the repository>
        hub.add("owner/name", "model.safetensors", Made(seed=1, size_bytes=10**9))
        hub.fail("model.safetensors", Cut(1000), too_many("1"))
        ... hub.endpoint ...
    hub.bytes_served("model.safetensors"), hub.requests, hub.token_seen_elsewhere
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from core.catalogue.remote import RemoteFile
from tests.fakes.hub_contents import Bytes, Content, Made, OnDisk
from tests.fakes.hub_faults import Fault
from tests.fakes.hub_server import HubServer

__all__ = ["Bytes", "FakeHub", "Made", "OnDisk", "Served"]

LARGE_SUFFIXES = (".safetensors", ".gguf", ".onnx", ".pth", ".bin", ".model")
LARGE_BYTES = 10 * 1024 * 1024


def is_large(path: str, content: Content) -> bool:
    """Whether the hub keeps a file outside git, with a SHA-256 and behind a redirect."""
    return path.endswith(LARGE_SUFFIXES) or content.size_bytes > LARGE_BYTES


@dataclass
class Served:
    """One request and what became of it.

    Attributes:
        repository, path: of the file, where the request was for a file.
        elsewhere: it came to the second server, which must never see a token.
        start: first byte of the file that was sent; ``bytes_sent`` of them went out.
    """

    method: str
    url: str
    headers: dict[str, str]
    elsewhere: bool
    repository: str = ""
    path: str = ""
    status: int = 0
    start: int = 0
    bytes_sent: int = 0
    fault: Fault | None = None

    @property
    def range(self) -> str | None:
        """The header Range, as it came."""
        return self.headers.get("range")

    @property
    def token(self) -> str | None:
        """The token, as it came."""
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None


@dataclass
class Repository:
    """Files by path; each commit is a picture of them."""

    files: dict[str, Content] = field(default_factory=dict)
    commits: dict[str, dict[str, Content]] = field(default_factory=dict)
    gated: bool = False
    token: str | None = None

    def head(self) -> str:
        """The newest commit."""
        state = hashlib.sha1()
        for path, content in sorted(self.files.items()):
            state.update(f"{path} {content.sha256}\n".encode())
        commit = state.hexdigest()
        self.commits.setdefault(commit, dict(self.files))
        return commit

    def at(self, revision: str) -> str | None:
        """The commit that a branch or commit names."""
        if revision == "main":
            return self.head()
        return revision if revision in self.commits else None


class FakeHub:
    """The hub; a context manager that starts and stops its two servers.

    Args:
        folder: ``<owner>/<name>/<path>``; read once.
        choose_fault: decides on every request for the bytes of a file that has no fault lined up.
        send_buffer_bytes: of the sockets, so that little is on the way when a reader is killed.
    """

    def __init__(
        self,
        folder: Path | None = None,
        choose_fault: Callable[[Served], Fault | None] = lambda _: None,
        send_buffer_bytes: int = 128 * 1024,
    ) -> None:
        self.repositories: dict[str, Repository] = defaultdict(Repository)
        self.requests: list[Served] = []
        self.etags: dict[tuple[str, str], str] = {}
        self.stopping = threading.Event()
        self._choose_fault = choose_fault
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._servers = [HubServer(self, elsewhere, send_buffer_bytes) for elsewhere in (False, True)]
        self._threads: list[threading.Thread] = []
        if folder is not None:
            self.add_folder(folder)

    @property
    def endpoint(self) -> str:
        """The hub's address."""
        return self._servers[0].address

    @property
    def elsewhere(self) -> str:
        """The address of the server that large files are redirected to."""
        return self._servers[1].address

    def __enter__(self) -> FakeHub:
        self._threads = [threading.Thread(target=server.serve) for server in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for server in self._servers:
            server.stop()
        for thread in self._threads:
            thread.join()

    def add_folder(self, folder: Path) -> None:
        """Serve every file of ``<owner>/<name>/<path>``."""
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            owner, name, *rest = path.relative_to(folder).parts
            self.add(f"{owner}/{name}", "/".join(rest), path)

    def add(self, repository: str, path: str, content: Content | bytes | Path) -> Content:
        """Serve a file; adding the same path again is a new commit."""
        made = OnDisk(content) if isinstance(content, Path) else content
        made = Bytes(made) if isinstance(made, bytes) else made
        self.repositories[repository].files[path] = made
        return made

    def commit(self, repository: str) -> str:
        """The newest commit of a repository."""
        return self.repositories[repository].head()

    def remote(self, repository: str, path: str) -> RemoteFile:
        """What ``Hub.resolve`` makes of a file."""
        content, commit = self.repositories[repository].files[path], self.commit(repository)
        large = is_large(path, content)
        sha256, blob_id = (content.sha256, None) if large else (None, content.blob_id)
        url = f"{self.endpoint}/{repository}/resolve/{commit}/{quote(path)}"
        return RemoteFile(repository, commit, path, content.size_bytes, sha256, blob_id, url)

    def gate(self, repository: str, token: str | None = None) -> None:
        """Refuse a repository to everybody but the bearer of ``token``."""
        self.repositories[repository].gated = True
        self.repositories[repository].token = token

    def fail(self, path: str, *faults: Fault) -> None:
        """Line up faults for a file, by its path in the repository; the API answers to the name ``api``."""
        with self._lock:
            self._faults[path].extend(faults)

    def record(self, served: Served) -> Fault | None:
        """Note a request; the fault that it meets. The redirect to the second server meets none."""
        with self._lock:
            self.requests.append(served)
            content = self.repositories[served.repository].files.get(served.path) if served.path else None
            if content is not None and is_large(served.path, content) and not served.elsewhere:
                return None
            waiting = self._faults[served.path or "api"]
            served.fault = waiting.popleft() if waiting else self._choose_fault(served)
            return served.fault

    def downloads(self, path: str) -> list[Served]:
        """The requests that were answered with bytes of a file, in order."""
        return [one for one in self.requests if one.path == path and one.method == "GET" and one.bytes_sent]

    def bytes_served(self, path: str) -> int:
        """Over all requests for a file."""
        return sum(one.bytes_sent for one in self.downloads(path))

    @property
    def token_seen_elsewhere(self) -> bool:
        """Whether a token reached the second server."""
        return any(one.elsewhere and one.token for one in self.requests)
