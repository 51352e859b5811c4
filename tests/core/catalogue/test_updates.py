"""The update check: what has moved on, and that nothing is changed by asking."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from small_catalogue import write

from core.catalogue.catalogue import Asset, Catalogue, CatalogueFile
from core.catalogue.hub import Hub
from core.catalogue.load import load_catalogue
from core.catalogue.remote import RemoteFile, ResolvedAsset
from core.catalogue.store.manifest import Manifest, StoredFile
from core.catalogue.updates import check_updates
from core.errors import BadSetting, NetworkError
from tests.fakes.hub import FakeHub

OURS = Manifest("net", "maker/weights", "main", "c1", "downloaded", (StoredFile("a", 1, "11"),))


@dataclass
class Answers:
    """Newest commits and what is there now."""

    commits: dict[str, str]
    files: tuple[StoredFile, ...] = ()
    asked: list[str] = field(default_factory=list)

    def revision(self, repository: str) -> str:
        self.asked.append(repository)
        if repository not in self.commits:
            raise NetworkError("The hub did not answer.")
        return self.commits[repository]

    def resolve(self, asset: Asset) -> ResolvedAsset:
        commit = self.commits[asset.repository]
        assert asset.revision == commit
        files = (
            RemoteFile(asset.repository, commit, file.path, 1, file.sha256, None, "") for file in self.files
        )
        return ResolvedAsset(asset, commit, tuple(files))


@contextmanager
def github(answer: object, status: int = 200) -> Iterator[str]:
    """An API that gives one answer; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status if self.path == "/repos/maker/dancer/commits/main" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return load_catalogue(write(tmp_path))


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("commit", "now", "status"),
    [
        ("c1", (), "unchanged"),
        ("c2", (StoredFile("a", 1, "11"),), "moved"),
        ("c2", (StoredFile("a", 1, "22"),), "changed"),
        ("c2", (StoredFile("b", 1, "11"),), "changed"),
    ],
)
def test_an_assets_files_are_compared_where_the_repository_moved(
    catalogue: Catalogue, commit: str, now: tuple[StoredFile, ...], status: str
) -> None:
    with github({"sha": "aaaa"}) as address:
        report = check_updates(catalogue, [OURS], Answers({"maker/weights": commit}, now), address)
    assert [update.status for update in report.updates] == ["unchanged", status]
    assert len(report.changed) == (status == "changed")
    assert report.updates[1].files == (("a",) if status == "changed" else ())


@pytest.mark.usefixtures("loopback")
def test_an_upstreams_new_commit_is_told(catalogue: Catalogue) -> None:
    with github({"sha": "bbbbbbbbbb"}) as address:
        report = check_updates(catalogue, [], Answers({}), address)
    assert report.changed[0].sentence() == (
        "dancer (maker/dancer) has newer commits: bbbbbbb instead of aaaa."
    )


@pytest.mark.usefixtures("loopback")
def test_what_cannot_be_reached_does_not_hide_the_rest(catalogue: Catalogue) -> None:
    with github({"message": "slow down"}, status=403) as address:
        report = check_updates(catalogue, [OURS], Answers({"maker/weights": "c1"}), address)
        assert [update.status for update in report.updates] == ["unknown", "unchanged"]
        assert "no more questions" in report.updates[0].sentence()
        with pytest.raises(NetworkError, match="could not be checked"):
            check_updates(catalogue, [OURS], Answers({}), address)
    with github({"sha": 5}) as address, pytest.raises(NetworkError, match="did not name"):
        check_updates(catalogue, [], Answers({}), address)


@pytest.mark.usefixtures("loopback")
def test_a_repository_is_asked_once(catalogue: Catalogue) -> None:
    hub = Answers({"maker/weights": "c1", "maker/vae": "c1"})
    vae = replace(OURS, asset="vae", repository="maker/vae")
    with github({"sha": "aaaa"}) as address:
        check_updates(catalogue, [OURS, OURS, vae, replace(OURS, origin="imported")], hub, address)
    assert hub.asked == ["maker/weights", "maker/vae"]


def test_offline_nothing_is_asked(catalogue: Catalogue) -> None:
    hub = Answers({})
    with pytest.raises(NetworkError, match="Offline"):
        check_updates(catalogue, [OURS], hub, offline=True)
    assert not hub.asked


def test_an_unsafe_address_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(BadSetting, match="cannot be used"):
        check_updates(catalogue, [], Answers({}), "http://example.org")


@pytest.mark.usefixtures("loopback")
def test_a_real_hubs_answers_are_understood(catalogue: Catalogue) -> None:
    """A new commit that leaves our file alone, then one that replaces it."""
    path = catalogue.assets["net"].files[0].path
    with FakeHub() as fake, github({"sha": "aaaa"}) as address:
        fake.add("maker/weights", path, b"old bytes!")
        asset = replace(catalogue.assets["net"], files=(CatalogueFile(path),))
        known = Hub(fake.endpoint).resolve(asset)
        files = tuple(
            StoredFile(file.path, file.size_bytes, file.sha256, file.blob_id) for file in known.files
        )
        ours = replace(OURS, commit=known.revision, files=files)

        def status() -> str:
            return check_updates(catalogue, [ours], Hub(fake.endpoint), address).updates[1].status

        assert status() == "unchanged"
        fake.add("maker/weights", "more.txt", b"beside it")
        assert status() == "moved"
        fake.add("maker/weights", path, b"new bytes!")
        assert status() == "changed"
