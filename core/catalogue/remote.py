"""Files as a server has them, and what it says when it will not give them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Final

from core.catalogue.catalogue import Asset
from core.errors import NetworkError, NoAccess

USER_AGENT: Final = "Pirouette"
_YES: Final = ("1", "true", "yes", "on")


def content_hash(sha256: str | None, blob_id: str | None, size_bytes: int) -> hashlib._Hash:
    """The hash to feed with a file's bytes: git's where only that is known, else SHA-256."""
    if sha256 is None and blob_id is not None:
        return hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
    return hashlib.sha256()


@dataclass(frozen=True)
class RemoteFile:
    """One file as a server has it.

    Attributes:
        revision: a commit, so that the address always means the same bytes.
        path: in the repository.
        sha256: of the content, where the hub keeps the file outside git.
        blob_id: otherwise git's SHA-1 of ``blob <size>``, a zero byte and the content.
        mirrors: other addresses of the same bytes.
    """

    repository: str
    revision: str
    path: str
    size_bytes: int
    sha256: str | None
    blob_id: str | None
    url: str
    mirrors: tuple[str, ...] = ()

    def new_hash(self) -> hashlib._Hash:
        """The hash to feed with its bytes; ``sha256`` or else ``blob_id`` is what should come out."""
        return content_hash(self.sha256, self.blob_id, self.size_bytes)


@dataclass(frozen=True)
class ResolvedAsset:
    """An asset with its files as the hub has them at one commit, in the asset's order."""

    asset: Asset
    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        """Over all files, exact."""
        return sum(file.size_bytes for file in self.files)


def offline_wanted() -> bool:
    """Whether the environment forbids every call to the hub, as for all programs that know the variable."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _YES


def offline_error() -> NetworkError:
    """No socket was opened."""
    return NetworkError(
        "Offline mode is on, so nothing is asked or downloaded.",
        action="Switch offline mode off (setting, --offline or HF_HUB_OFFLINE) and try again.",
    )


def gated(repository: str, page: str) -> NoAccess:
    """The owner wants the licence accepted first."""
    return NoAccess(
        f"{repository} can be downloaded only by people who have accepted its licence.",
        value=page,
        action=f"Accept the licence at {page} and set a token of that account with `pirouette models token`.",
    )


def refused_token(repository: str) -> NoAccess:
    """There is no token, or the server does not know it."""
    return NoAccess(
        f"The hub does not let this computer read {repository}.",
        value=repository,
        action="Set a token that may read it with `pirouette models token`.",
    )
