"""A repository's files, as huggingface_hub and GitHub tell them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import requests

from core.catalogue.addresses import host
from core.catalogue.catalogue import Asset, CatalogueFile
from core.catalogue.remote import USER_AGENT, gated, refused_token
from core.catalogue.transfer.http import retry_after
from core.catalogue.transfer.pace import Clock, Patience, wait
from core.errors import BadSetting, NetworkError, PirouetteError

_Told = TypeVar("_Told")
TIMEOUT_S: Final = 20.0
_ASK_LATER: Final = (408, 425, 429)
_RETRY: Final = "Check the network connection and try again."
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA1: Final = re.compile(r"[0-9a-f]{40}")
# A mirror that answers with a login page, say.
_NOT_UNDERSTOOD: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Known:
    """What a server tells of one file, at most one of the two hashes."""

    size_bytes: int
    sha256: str | None
    blob_id: str | None

    def __post_init__(self) -> None:
        if self.size_bytes < 0:
            raise ValueError(f"A file has no {self.size_bytes} bytes.")


@dataclass(frozen=True)
class Listing:
    """The files of a repository at a commit, by path; None for one of which only the name was told."""

    commit: str
    files: Mapping[str, Known | None]


def list_repository(
    endpoint: str, token: str | None, repository: str, revision: str, patience: Patience, clock: Clock
) -> Listing:
    """Ask the hub; transient failures are asked again.

    Raises:
        NetworkError: the hub cannot be reached, refuses, or answers with something else.
        BadSetting: there is no such repository or revision.
    """
    api = _quiet_api(endpoint, token)

    def ask() -> Listing:
        told = api.model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
        return Listing(told.sha or revision, {str(one.rfilename): _known(one) for one in told.siblings})

    return _asked(ask, endpoint, repository, revision, patience, clock)


def head_file(
    endpoint: str,
    token: str | None,
    repository: str,
    commit: str,
    path: str,
    patience: Patience,
    clock: Clock,
) -> Known:
    """Ask for one file, of which the listing gave the name only, as some mirrors' do.

    Raises:
        NetworkError, BadSetting: as for ``list_repository``.
    """
    api = _quiet_api(endpoint, token)
    url = f"{endpoint}/{repository}/resolve/{quote(commit, safe='')}/{quote(path)}"

    def ask() -> Known:
        told = api.get_hf_file_metadata(url=url, timeout=TIMEOUT_S)
        etag = str(told.etag or "")
        return Known(
            int(told.size), etag if _SHA256.fullmatch(etag) else None, etag if _SHA1.fullmatch(etag) else None
        )

    return _asked(ask, endpoint, repository, commit, patience, clock)


def _asked(
    ask: Callable[[], _Told], endpoint: str, repository: str, revision: str, patience: Patience, clock: Clock
) -> _Told:
    """The answer; what another try may better is asked again, the rest becomes one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The second is the root of the errors of the HTTP library, which differs between versions.
    broken = cast(tuple[type[Exception], ...], (OSError, *HfHubHTTPError.__bases__))
    for failures in range(1, patience.attempts + 1):
        try:
            return ask()
        except broken as error:
            problem = _problem(error, endpoint, repository, revision)
            if problem is not None or failures == patience.attempts:
                raise problem or _unreachable(endpoint, error) from error
            pause_s = patience.pause_s(failures, _asked_s(error))
        except HFValidationError as error:
            raise missing(f"{repository} is not the name of a repository", repository) from error
        except _NOT_UNDERSTOOD as error:
            raise _odd(endpoint, repository, error) from error
        wait(pause_s, clock, lambda: None)
    raise AssertionError("The last try returns or raises.")


def _quiet_api(endpoint: str, token: str | None) -> Any:
    """huggingface_hub without its telemetry, and with our token or none, never one that it finds itself."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, constants

    # Read from the environment at its import, which may have been earlier.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    return HfApi(endpoint=endpoint, token=token or False, library_name=USER_AGENT)


def _known(sibling: Any) -> Known | None:
    """Of a large file the SHA-256; its blob in git is only a pointer."""
    if sibling.lfs is not None:
        return Known(int(sibling.lfs.size), str(sibling.lfs.sha256), None)
    if sibling.size is None or sibling.blob_id is None:
        return None
    return Known(int(sibling.size), None, str(sibling.blob_id))


def _problem(error: Exception, endpoint: str, repository: str, revision: str) -> PirouetteError | None:
    """The plain sentence; None where another try may help."""
    from huggingface_hub import errors

    page = f"{endpoint}/{repository}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return gated(repository, page)
    if isinstance(error, errors.RevisionNotFoundError):
        return missing(f"{repository} has no revision {revision}", revision)
    if isinstance(error, errors.RepositoryNotFoundError):
        return missing(f"{host(endpoint)} has no repository {repository}, or it is private", repository)
    if status == 401:
        return refused_token(repository)
    if status == 403:
        return gated(repository, page)
    if status is not None and 400 <= status < 500 and status not in _ASK_LATER:
        return missing(f"{host(endpoint)} tells nothing about {repository} (status {status})", repository)
    return None


def _asked_s(error: Exception) -> float | None:
    response = getattr(error, "response", None)
    return retry_after(response.headers) if response is not None else None


def missing(what: str, value: object) -> BadSetting:
    """The catalogue names something that is not there."""
    return BadSetting(
        f"{what}.", value=value, action="Check the name in the catalogue, the token and the endpoint."
    )


def _unreachable(address: str, error: Exception) -> NetworkError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    why = f"answers with status {status}" if status else "cannot be reached"
    return NetworkError(f"{host(address)} {why}.", value=type(error).__name__, action=_RETRY)


def _odd(address: str, repository: str, error: Exception) -> NetworkError:
    return NetworkError(
        f"{host(address)} answers about {repository} in a form that is not a hub's.",
        value=type(error).__name__,
        action="Check the endpoint.",
    )


def github_file(api: str, asset: Asset, file: CatalogueFile, session: requests.Session) -> Known:
    """Size and hash: the catalogue's, else what GitHub tells.

    Raises:
        NetworkError: GitHub cannot be reached.
        BadSetting: GitHub has no such file.
    """
    if file.size_bytes is not None and file.sha256:
        return Known(file.size_bytes, file.sha256, None)
    path, revision = quote(file.path), quote(asset.revision, safe="")
    told = _github(f"{api}/repos/{asset.repository}/contents/{path}?ref={revision}", asset, session)
    try:
        return Known(int(told["size"]), file.sha256, None if file.sha256 else str(told["sha"]))
    except _NOT_UNDERSTOOD as error:
        raise _odd(api, asset.repository, error) from error


def _github(url: str, asset: Asset, session: requests.Session) -> Any:
    try:
        response = session.get(url, timeout=TIMEOUT_S, headers={"Accept": "application/vnd.github+json"})
    except requests.RequestException as error:
        raise _unreachable(url, error) from error
    if response.status_code == 404:
        raise missing(f"GitHub has no such file of {asset.repository} at {asset.revision}", asset.repository)
    if response.status_code != 200:
        raise NetworkError(
            f"GitHub does not tell about {asset.repository} (status {response.status_code}).",
            value=asset.repository,
            action="Try again in an hour.",
        )
    return response.json()
