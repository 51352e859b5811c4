"""What the hub knows about an asset: commit, names, sizes, hashes, addresses. Reads no file's content."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import quote

from core.catalogue.addresses import checked_endpoint
from core.catalogue.catalogue import Asset, CatalogueFile
from core.catalogue.hub_listing import Known, Listing, github_file, head_file, list_repository, missing
from core.catalogue.remote import USER_AGENT, RemoteFile, ResolvedAsset, offline_error, offline_wanted
from core.catalogue.transfer.http import new_session
from core.catalogue.transfer.pace import Clock, Patience, SystemClock
from core.errors import BadCheckpoint, BadSetting, NetworkError

__all__ = ["ENDPOINT", "Hub", "RemoteFile", "ResolvedAsset"]

_Told = TypeVar("_Told")
ENDPOINT: Final = "https://huggingface.co"
GITHUB: Final = "https://raw.githubusercontent.com"
GITHUB_API: Final = "https://api.github.com"
_PATIENCE: Final = Patience(attempts=4)


class Hub:
    """Metadata of one endpoint. Answers are kept as long as the object lives.

    Args:
        endpoint: the hub or a mirror of it.
        token: of the user's account; goes to the endpoint only.
        offline: every question is refused before a socket is opened.
        mirrors: endpoints that serve the same, asked where the first cannot be reached.
        github, github_api: where assets with source ``github`` lie.
        patience, clock: for tests.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        token: str | None = None,
        offline: bool = False,
        mirrors: Sequence[str] = (),
        github: str = GITHUB,
        github_api: str = GITHUB_API,
        patience: Patience = _PATIENCE,
        clock: Clock | None = None,
    ) -> None:
        self.endpoint = checked_endpoint(endpoint)
        self.token = token
        self.offline = offline
        self.mirrors = tuple(checked_endpoint(mirror) for mirror in mirrors)
        self._github = checked_endpoint(github)
        self._github_api = checked_endpoint(github_api)
        self._patience = patience
        self._clock = clock or SystemClock()
        self._listings: dict[tuple[str, str], Listing] = {}

    def resolve(self, asset: Asset) -> ResolvedAsset:
        """Exact names, sizes and hashes of an asset's files.

        Raises:
            NetworkError: offline, no connection, or the hub refuses.
            BadSetting: the hub has no such repository, revision or file, or a pattern fits none or several.
            BadCheckpoint: a file is not the one that the catalogue knows.
        """
        if asset.source == "github":
            return self._from_github(asset)
        if asset.source != "huggingface":
            message = f"{asset.id} is not downloaded as such."
            raise BadSetting(message, value=asset.source, limit="huggingface or github")
        listing = self._listing(asset.repository, asset.revision)
        return ResolvedAsset(
            asset, listing.commit, tuple(self._file(asset, file, listing) for file in asset.files)
        )

    def url(self, repository: str, revision: str, path: str) -> str:
        """Where the bytes of a file are; large ones are behind a redirect from there."""
        return _url(self.endpoint, repository, revision, path)

    def revision(self, repository: str) -> str:
        """The newest commit of a repository.

        Raises:
            NetworkError, BadSetting: as for ``resolve``.
        """
        return self._listing(repository, "main").commit

    def _file(self, asset: Asset, wanted: CatalogueFile, listing: Listing) -> RemoteFile:
        path = _match(asset, wanted, listing.files)
        known = listing.files[path] or self._asked_singly(asset.repository, listing.commit, path)
        _check_pinned(asset, wanted, path, known)
        url, *mirrors = (
            _url(endpoint, asset.repository, listing.commit, path)
            for endpoint in (self.endpoint, *self.mirrors)
        )
        if known.sha256 is None and wanted.sha256 is not None:
            known = replace(known, sha256=wanted.sha256)  # says more than the hash in git
        return _remote(asset, listing.commit, path, known, url, tuple(mirrors))

    def _asked_singly(self, repository: str, commit: str, path: str) -> Known:
        return self._first_of(
            lambda endpoint, token: head_file(
                endpoint, token, repository, commit, path, self._patience, self._clock
            )
        )

    def _listing(self, repository: str, revision: str) -> Listing:
        self._refuse_offline()
        key = repository, revision
        if key not in self._listings:
            self._listings[key] = self._first_of(
                lambda endpoint, token: list_repository(
                    endpoint, token, repository, revision, self._patience, self._clock
                )
            )
        return self._listings[key]

    def _first_of(self, ask: Callable[[str, str | None], _Told]) -> _Told:
        """Of the endpoint, or of a mirror where the endpoint fails; the token is for the endpoint."""
        asked: list[tuple[str, str | None]] = [
            (self.endpoint, self.token),
            *((mirror, None) for mirror in self.mirrors),
        ]
        problems: list[NetworkError] = []
        for endpoint, token in asked:
            try:
                return ask(endpoint, token)
            except NetworkError as error:
                problems.append(error)
        raise problems[0]

    def _from_github(self, asset: Asset) -> ResolvedAsset:
        self._refuse_offline()
        files = []
        with new_session(USER_AGENT) as session:
            for file in asset.files:
                known = github_file(self._github_api, asset, file, session)
                url = f"{self._github}/{asset.repository}/{quote(asset.revision)}/{quote(file.path)}"
                files.append(_remote(asset, asset.revision, file.path, known, url, ()))
        return ResolvedAsset(asset, asset.revision, tuple(files))

    def _refuse_offline(self) -> None:
        if self.offline or offline_wanted():
            raise offline_error()


def _url(endpoint: str, repository: str, revision: str, path: str) -> str:
    return f"{endpoint}/{repository}/resolve/{quote(revision, safe='')}/{quote(path)}"


def _remote(
    asset: Asset, revision: str, path: str, known: Known, url: str, mirrors: tuple[str, ...]
) -> RemoteFile:
    size, sha256, blob_id = known.size_bytes, known.sha256, known.blob_id
    return RemoteFile(asset.repository, revision, path, size, sha256, blob_id, url, mirrors)


def _match(asset: Asset, wanted: CatalogueFile, paths: Iterable[str]) -> str:
    """The one path of the repository that is meant; ``*`` does not cross a folder."""
    fits: Callable[[str], bool] = wanted.path.__eq__
    if asset.resolve and "*" in wanted.path:
        depth = wanted.path.count("/")
        fits = lambda path: path.count("/") == depth and fnmatch.fnmatchcase(path, wanted.path)  # noqa: E731
    found = sorted(path for path in paths if fits(path))
    if len(found) == 1:
        return found[0]
    if found:
        raise BadSetting(
            f"{len(found)} files of {asset.repository} fit {wanted.path}.",
            value=", ".join(found[:4]),
            limit="one file",
            action="Name the file in the catalogue.",
        )
    raise missing(f"{asset.repository} has no file {wanted.path}", wanted.path)


def _check_pinned(asset: Asset, wanted: CatalogueFile, path: str, known: Known) -> None:
    """The catalogue's size and SHA-256, where it has them, against the hub's."""
    pairs = ((wanted.size_bytes, known.size_bytes), (wanted.sha256, known.sha256))
    for pinned, told in pairs:
        if pinned is not None and told is not None and pinned != told:
            raise BadCheckpoint(
                f"{path} was replaced in {asset.repository}: it is not the file that the catalogue knows.",
                value=told,
                limit=pinned,
                action="Take another file of the model, or update Pirouette.",
            )
