"""Brings assets into the store: what lies on this machine is used, the rest is downloaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.catalogue.catalogue import Asset
from core.catalogue.hub import RemoteFile
from core.catalogue.remote import ResolvedAsset
from core.catalogue.store import layout
from core.catalogue.store.copying import check_space
from core.catalogue.store.get_plan import Fetch, GetPlan, is_whole
from core.catalogue.store.hashing import hash_file
from core.catalogue.store.manifest import StoredFile, write_manifest
from core.catalogue.store.progress import Check, OnProgress, Totals, go_on, ignore
from core.catalogue.store.reuse import take
from core.catalogue.store.store import Store, part_bytes
from core.catalogue.transfer.download import download
from core.catalogue.transfer.pace import TransferProgress
from core.errors import BadSetting, Cancelled, DiskError
from core.media.disk import disk_error


class Convert(Protocol):
    """Makes an asset out of another; the target appears whole or not at all."""

    def __call__(
        self,
        source: Path,
        target: Path,
        asset: Asset,
        on_share: Callable[[float], None],
        check: Check,
    ) -> None:
        """``source`` is a file or the index of shards; ``on_share`` is told what share is done."""


class Download(Protocol):
    """``core.catalogue.transfer.download``, as it is called here."""

    def __call__(
        self,
        file: RemoteFile,
        target: Path,
        *,
        token: str | None,
        on_progress: Callable[[TransferProgress], None],
        check: Check,
    ) -> Path: ...


@dataclass(frozen=True)
class Got:
    """What came.

    Attributes:
        downloaded: files from the network, ``reused``: key -> where a file was found on this machine.
        converted: assets made here.
    """

    downloaded: tuple[str, ...]
    reused: dict[str, Path]
    converted: tuple[str, ...] = ()


def get(
    store: Store,
    plan: GetPlan,
    token: str | None = None,
    on_progress: OnProgress = ignore,
    check: Check = go_on,
    parallel: int = 1,
    convert: Convert | None = None,
    fetch: Download = download,
) -> Got:
    """Carry a plan out. Whatever ends it, what came stays and the next time goes on from there.

    Args:
        store: the target.
        plan: from ``plan_get``.
        token: for the endpoint.
        on_progress: told totals over all files; never from two threads at once.
        check: called often; raises ``Cancelled`` to pause.
        parallel: files at a time; above 1 on threads.
        convert: makes an asset out of another.
        fetch: downloads one file.

    Raises:
        DiskError: too little room (before anything starts), or the disk fails.
        NetworkError, BadCheckpoint: as ``transfer.download``.
    """
    check_space(store.root, plan.needed_bytes, lambda _: plan.free_bytes)
    if plan.convert and convert is None:
        raise BadSetting(f"{plan.convert[0]} is made by converting, which is not possible here.")
    work = _Work(store, plan, token, on_progress, check, fetch)
    try:
        for resolved in plan.resolved:
            work.announce(resolved)
        work.fetch_all(parallel)
        for resolved in plan.resolved:
            _finish(store, resolved)
        for job in plan.fetches:
            _drop_damaged(job)
    except OSError as error:
        raise disk_error(error, store.root) from error
    made = tuple(_convert(store, asset_id, convert, work) for asset_id in plan.convert if convert)
    return Got(tuple(work.downloaded), work.reused, made)


class _Work:
    """The files of one plan."""

    def __init__(
        self,
        store: Store,
        plan: GetPlan,
        token: str | None,
        on_progress: OnProgress,
        check: Check,
        fetch: Download,
    ) -> None:
        self._store = store
        self._token = token
        self._check = check
        self._fetch = fetch
        self._jobs = plan.fetches
        self._stop = threading.Event()
        self.downloaded: list[str] = []
        self.reused: dict[str, Path] = {}
        sizes = [job.remote.size_bytes for job in plan.fetches]
        sizes += [store.asset(asset_id).bytes_for_planning for asset_id in plan.convert]
        self.totals = Totals(on_progress, len(sizes), sum(sizes))
        for job in plan.fetches:
            self.totals.there(job.key, part_bytes(job.blob))

    def announce(self, resolved: ResolvedAsset) -> None:
        """Write down what will come, so that sizes and part files are known from now on."""
        files = tuple(
            StoredFile(file.path, file.size_bytes, file.sha256, file.blob_id) for file in resolved.files
        )
        write_manifest(self._store.root, resolved.asset, resolved.revision, "downloaded", files)

    def fetch_all(self, parallel: int) -> None:
        """Every file; the first error ends the others, which stay resumable."""
        if parallel <= 1 or len(self._jobs) <= 1:
            for job in self._jobs:
                self._bring(job)
            return
        with ThreadPoolExecutor(parallel, thread_name_prefix="download") as pool:
            futures = [pool.submit(self._bring, job) for job in self._jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        # Those that the first error stopped only say that they were stopped.
        for error in sorted(errors, key=lambda error: isinstance(error, Cancelled)):
            raise error

    def check(self) -> None:
        """Stop where somebody wants it."""
        if self._stop.is_set():
            raise Cancelled()
        self._check()

    def _bring(self, job: Fetch) -> None:
        self.check()
        size = job.remote.size_bytes
        if not is_whole(job.name, size):
            if not is_whole(job.blob, size):
                self._fill(job)
            layout.link(job.blob, job.name)
        self.totals.finish(job.key, "download", size)

    def _fill(self, job: Fetch) -> None:
        """The bytes, from this machine or from the network."""
        if job.candidates:
            source = take(job.candidates, job.blob, job.stored, self._reading(job), self.check)
            if source is not None:
                self.reused[job.key] = source
                _drop_unfinished(job.blob)
                return
        self._fetch(job.remote, job.blob, token=self._token, on_progress=self._telling(job), check=self.check)
        self.downloaded.append(job.key)

    def _reading(self, job: Fetch) -> Callable[[int], None]:
        """Of a file that is compared nothing is done yet: it may turn out to be another one."""
        there = part_bytes(job.blob)
        self.totals.start(job.key, "verify", there)
        return lambda _: self.totals.at(job.key, "verify", there, moved=0)

    def _telling(self, job: Fetch) -> Callable[[TransferProgress], None]:
        there = part_bytes(job.blob)
        self.totals.start(job.key, "download", there)

        def tell(told: TransferProgress) -> None:
            if told.phase == "verify":  # what is there already is read again
                self.totals.at(job.key, "verify", max(there, told.bytes_done), moved=0)
            else:
                self.totals.at(job.key, "download", told.bytes_done)

        return tell


def _drop_unfinished(blob: Path) -> None:
    """A part file that nobody needs any more, now that the bytes came from elsewhere."""
    for ending in (".part", ".part.json"):
        blob.with_name(blob.name + ending).unlink(missing_ok=True)


def _drop_damaged(job: Fetch) -> None:
    """What a repair that did not end had set aside."""
    for path in (job.blob, job.name):
        path.with_name(f"{path.name}{layout.ASIDE}").unlink(missing_ok=True)


def _finish(store: Store, resolved: ResolvedAsset) -> None:
    """Names are complete: the revision points here, and an imported copy is not needed any more."""
    layout.write_ref(store.root, resolved.asset, resolved.revision)
    folder = layout.imported_folder(store.root, resolved.asset)
    for file in resolved.files:
        path = folder / file.path
        path.unlink(missing_ok=True)
        layout.delete_empty(path.parent, store.root)


def _convert(store: Store, asset_id: str, convert: Convert, work: _Work) -> str:
    asset = store.asset(asset_id)
    source = store.part_path(str(asset.converted_from))
    if source is None:
        raise DiskError(f"{asset.converted_from} is not there any more.", value=asset.converted_from)
    path = asset.files[0].path
    target = layout.converted_folder(store.root, asset) / path
    size = asset.bytes_for_planning
    key = f"{asset_id}: {path}"
    work.totals.start(key, "convert", 0)
    convert(
        source, target, asset, lambda share: work.totals.at(key, "convert", int(size * share)), work.check
    )
    work.totals.finish(key, "convert", size)
    hashed = hash_file(target, StoredFile(path), check=work.check)
    files = (StoredFile(path, target.stat().st_size, hashed),)
    write_manifest(store.root, asset, None, "converted", files)
    return asset_id
