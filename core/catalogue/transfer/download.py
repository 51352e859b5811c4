"""Fetches one file: space, lock, what is there already, tries and mirrors, hash, name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from core.catalogue.addresses import host
from core.catalogue.remote import USER_AGENT, RemoteFile, offline_error, offline_wanted
from core.catalogue.transfer.http import Interrupted, fetch_rest, new_session
from core.catalogue.transfer.lock import locked
from core.catalogue.transfer.pace import (
    Check,
    Clock,
    Patience,
    Progress,
    SystemClock,
    TransferProgress,
    wait,
)
from core.catalogue.transfer.part import Part, lock_path
from core.errors import BadCheckpoint, DiskError, NetworkError
from core.media.disk import disk_error, existing_folder

# Stays free on the drive: a full one stops more than a download.
RESERVE_BYTES: Final = 512 * 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024


def _ignore(_: TransferProgress) -> None:
    """For callers that show nothing."""


def _go_on() -> None:
    """For callers that never stop."""


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(existing_folder(folder / "file")).free


def download(
    file: RemoteFile,
    target: Path,
    *,
    token: str | None = None,
    on_progress: Callable[[TransferProgress], None] = _ignore,
    check: Check = _go_on,
    free_bytes: Callable[[Path], int] = _free_bytes,
    reserve_bytes: int = RESERVE_BYTES,
    patience: Patience | None = None,
    clock: Clock | None = None,
    session: requests.Session | None = None,
) -> Path:
    """Bring a file to ``target``, going on where an earlier try stopped.

    The bytes grow in ``<hash>.part`` beside the target. Whatever ends the call, they stay and the next call
    fetches only the rest; they go only when their hash is wrong. A target that is right already is left as it
    is, another one is replaced once the new one is whole.

    Args:
        file: size and a hash are needed; ``mirrors`` are tried in turn where its ``url`` fails.
        token: for the host of ``file.url`` only.
        check: called often; raises ``Cancelled`` to pause or stop.
        free_bytes: of a folder's drive.
        reserve_bytes: that must stay free.

    Returns:
        ``target``.

    Raises:
        NetworkError: offline, refused, or no address gave the file in spite of several tries.
        DiskError: no space, or the folder cannot be written.
        BadCheckpoint: the servers' bytes are not those that the hub's hash names.
        Cancelled: from ``check``.
    """
    if offline_wanted():
        raise offline_error()
    job = _Job(file, target, token, patience or Patience(), clock or SystemClock(), check)
    _make_folder(target)
    with locked(lock_path(file, target), job.clock, check):
        progress = Progress(file.size_bytes, on_progress, job.clock)
        if not _is_there(job, progress):
            _check_space(job, free_bytes, reserve_bytes)
            own = nullcontext(session) if session is not None else new_session(USER_AGENT)
            with own as http, closing(Part(file, target)) as part:
                job.run(http, part, progress)
        progress.end()
    return target


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, target) from error


@dataclass(frozen=True)
class _Job:
    """What stays the same over all tries."""

    file: RemoteFile
    target: Path
    token: str | None
    patience: Patience
    clock: Clock
    check: Check

    def run(self, http: requests.Session, part: Part, progress: Progress) -> None:
        """Fetch and verify; wrong bytes are fetched once more from the start."""
        progress.begin(0, "verify")
        part.read_again(lambda done: progress.at(done, "verify"), self.check)
        for _ in range(2):
            progress.begin(part.length, "download")
            self._fetch(http, part, progress)
            if part.is_right():
                part.publish()
                return
            part.restart()
        raise BadCheckpoint(
            f"{self.file.path} came twice with other bytes than the hub names.",
            value=host(self.file.url),
            limit=self.file.sha256 or self.file.blob_id,
            action="Try again later or use another endpoint.",
        )

    def _fetch(self, http: requests.Session, part: Part, progress: Progress) -> None:
        """Through the file's address, then through its mirrors."""
        problems: list[NetworkError] = []
        for url in (self.file.url, *self.file.mirrors):
            try:
                self._fetch_from(url, http, part, progress)
            except NetworkError as error:
                problems.append(error)
            else:
                return
        raise problems[0]

    def _fetch_from(self, url: str, http: requests.Session, part: Part, progress: Progress) -> None:
        token = self.token if url == self.file.url else None
        failures, most = 0, part.length
        while part.length < self.file.size_bytes:
            self.check()
            try:
                fetch_rest(
                    http,
                    url,
                    token,
                    self.file,
                    part,
                    self.patience,
                    lambda moved: progress.at(part.length, "download", moved),
                    self.check,
                )
            except Interrupted as why:
                failures = 1 if part.length > most else failures + 1
                most = max(most, part.length)
                self._pause(why, failures, url)
                progress.begin(part.length, "download")

    def _pause(self, why: Interrupted, failures: int, url: str) -> None:
        """Before the next try.

        Raises:
            NetworkError: there were enough.
        """
        if failures >= self.patience.attempts:
            raise NetworkError(
                f"{self.file.path} could not be downloaded: {why.reason}.",
                value=host(url),
                limit=f"{self.patience.attempts} tries",
                action="Try again later: what has come is kept and the download goes on from there.",
            ) from why
        wait(self.patience.pause_s(failures, why.after_s), self.clock, self.check)


def _is_there(job: _Job, progress: Progress) -> bool:
    """Whether the target is right already, for example because another process has just fetched it."""
    file, target = job.file, job.target
    if not target.is_file() or target.stat().st_size != file.size_bytes:
        return False
    state, done = file.new_hash(), 0
    progress.begin(0, "verify")
    with target.open("rb") as reader:
        while piece := reader.read(_PIECE_BYTES):
            job.check()
            state.update(piece)
            done += len(piece)
            progress.at(done, "verify")
    return state.hexdigest() == (file.sha256 or file.blob_id)


def _check_space(job: _Job, free_bytes: Callable[[Path], int], reserve_bytes: int) -> None:
    folder = job.target.parent
    part = lock_path(job.file, job.target).with_suffix(".part")
    there = part.stat().st_size if part.exists() else 0
    needed, free = max(0, job.file.size_bytes - there) + reserve_bytes, free_bytes(folder)
    if free < needed:
        raise DiskError(
            f"The drive of {folder} has too little space for {job.file.path}.",
            value=f"{free} bytes free",
            limit=f"{needed} bytes, {reserve_bytes} of them as a reserve",
            action="Free some space or choose a folder on another drive.",
        )
