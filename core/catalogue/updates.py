"""Looks whether the upstreams or the files on this machine have moved on. Reports; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import requests

from core.catalogue.addresses import checked_endpoint, host
from core.catalogue.catalogue import Asset, Catalogue, CatalogueFile, Upstream
from core.catalogue.remote import USER_AGENT, RemoteFile, ResolvedAsset, offline_error, offline_wanted
from core.catalogue.store.manifest import Manifest, StoredFile
from core.catalogue.transfer.http import new_session
from core.errors import NetworkError, PirouetteError

GITHUB = "https://api.github.com"
TIMEOUT_S = (10.0, 30.0)
# ``moved``: the repository has a newer commit, our files in it are the same.
Status = Literal["unchanged", "moved", "changed", "unknown"]


class HubMetadata(Protocol):
    """What is asked of ``core.catalogue.hub.Hub``."""

    def revision(self, repository: str) -> str:
        """Newest commit."""
        ...

    def resolve(self, asset: Asset) -> ResolvedAsset:
        """Names and hashes at the asset's revision."""
        ...


@dataclass(frozen=True)
class Update:
    """One thing that was looked at.

    Attributes:
        name: an upstream's or asset's id.
        known, newest: commits.
        files: paths whose content differs.
        problem: why the status is unknown.
    """

    kind: Literal["upstream", "asset"]
    name: str
    repository: str
    known: str | None
    newest: str | None
    status: Status
    files: tuple[str, ...] = ()
    problem: str = ""

    def sentence(self) -> str:
        """For people."""
        subject = f"{self.name} ({self.repository})"
        if self.status == "unknown":
            return f"{subject} could not be checked: {self.problem}"
        if self.status == "changed" and self.kind == "asset":
            return f"{subject} has newer files: {', '.join(self.files)}."
        if self.status == "changed":
            return f"{subject} has newer commits: {_short(self.newest)} instead of {_short(self.known)}."
        return f"{subject} is up to date."


@dataclass(frozen=True)
class UpdateReport:
    """All that was looked at, upstreams first."""

    updates: tuple[Update, ...]

    @property
    def changed(self) -> tuple[Update, ...]:
        """What has moved on."""
        return tuple(update for update in self.updates if update.status == "changed")


def check_updates(
    catalogue: Catalogue,
    installed: Sequence[Manifest],
    hub: HubMetadata,
    github: str = GITHUB,
    offline: bool = False,
) -> UpdateReport:
    """Compare what is known with what the hub and GitHub say now.

    Args:
        installed: what was fetched of each asset.
        github: address of the API; plain http only on this machine.

    Raises:
        BadSetting: an address that is neither https nor on this machine.
        NetworkError: offline mode, or nothing at all could be reached.
    """
    api = checked_endpoint(github)
    if offline or offline_wanted():
        raise offline_error()
    with new_session(USER_AGENT) as http:
        upstreams = [_upstream(upstream, http, api) for upstream in catalogue.upstreams.values()]
    fetched = [item for item in installed if item.origin == "downloaded" and item.asset in catalogue.assets]
    assets = _assets(catalogue, fetched, hub)
    updates = (*upstreams, *assets)
    if updates and all(update.status == "unknown" for update in updates):
        raise NetworkError(
            f"Updates could not be checked: {updates[0].problem}", action="Check the network connection."
        )
    return UpdateReport(updates)


def _upstream(upstream: Upstream, http: requests.Session, api: str) -> Update:
    try:
        newest, problem = _newest_commit(upstream, http, api), ""
    except NetworkError as error:
        newest, problem = None, error.sentence()
    same = newest is not None and newest.startswith(upstream.revision)
    status: Status = "unknown" if newest is None else "unchanged" if same else "changed"
    return Update(
        "upstream", upstream.id, upstream.repository, upstream.revision, newest, status, problem=problem
    )


def _newest_commit(upstream: Upstream, http: requests.Session, api: str) -> str:
    """The commit at the head of an upstream's branch; raises ``NetworkError``. Follows no redirect."""
    url = f"{api}/repos/{upstream.repository}/commits/{upstream.branch}"
    try:
        headers = {"Accept": "application/vnd.github+json"}
        answer = http.get(url, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        message = f"{host(url)} did not answer ({type(error).__name__})."
        raise NetworkError(message, value=url, action="Check the network connection.") from error
    if answer.status_code in (403, 429):
        message = "GitHub allows no more questions from this address for now."
        raise NetworkError(message, value=answer.status_code, action="Try again in an hour.")
    try:
        commit = answer.json()["sha"] if answer.status_code == 200 else None
    except (ValueError, KeyError, TypeError):
        commit = None
    if not isinstance(commit, str) or not commit:
        message = f"GitHub did not name the newest commit of {upstream.repository}."
        raise NetworkError(message, value=answer.status_code, action="Try again later.")
    return commit


def _assets(catalogue: Catalogue, installed: Sequence[Manifest], hub: HubMetadata) -> list[Update]:
    """Each repository is asked once for its commit, and for its files only where that differs."""
    newest: dict[str, str | PirouetteError] = {}
    updates = []
    for item in installed:
        asset = catalogue.assets[item.asset]
        if asset.source != "huggingface":
            continue
        if asset.repository not in newest:
            newest[asset.repository] = _revision(hub, asset.repository)
        updates.append(_asset(asset, item, newest[asset.repository], hub))
    return updates


def _revision(hub: HubMetadata, repository: str) -> str | PirouetteError:
    try:
        return hub.revision(repository)
    except PirouetteError as error:
        return error


def _asset(asset: Asset, item: Manifest, newest: str | PirouetteError, hub: HubMetadata) -> Update:
    update = Update("asset", asset.id, asset.repository, item.commit, None, "unknown")
    if isinstance(newest, PirouetteError):
        return replace(update, problem=newest.sentence())
    if newest == item.commit:
        return replace(update, newest=newest, status="unchanged")
    # Without the catalogue's sizes and hashes: a file that differs from them is what we look for.
    paths = tuple(CatalogueFile(file.path) for file in item.files)
    try:
        resolved = hub.resolve(replace(asset, files=paths, revision=newest))
    except PirouetteError as error:
        return replace(update, newest=newest, problem=error.sentence())
    differing = _differing(item.files, resolved.files)
    return replace(update, newest=newest, status="changed" if differing else "moved", files=differing)


def _differing(ours: Sequence[StoredFile], theirs: Sequence[RemoteFile]) -> tuple[str, ...]:
    there = {file.path: file for file in theirs}
    return tuple(file.path for file in ours if file.path not in there or _differs(file, there[file.path]))


def _differs(ours: StoredFile, theirs: RemoteFile) -> bool:
    """By the first hash that both sides know; without one nothing can be said."""
    for mine, remote in ((ours.sha256, theirs.sha256), (ours.blob_id, theirs.blob_id)):
        if mine and remote:
            return mine != remote
    return False


def _short(commit: str | None) -> str:
    return (commit or "?")[:7]
