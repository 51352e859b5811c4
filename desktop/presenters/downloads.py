"""Downloads of models: a list that is worked off one by one and survives the end of the app."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from core.errors import Cancelled, PirouetteError
from core.settings import places
from desktop.model.transfers import (
    Transfer,
    TransferFile,
    TransferTrouble,
    from_data,
    paused,
    to_data,
)
from desktop.presenters import download_work
from desktop.presenters.background import Background
from desktop.presenters.long_work import LongWork

if TYPE_CHECKING:
    from core.catalogue.hub import Hub
    from core.catalogue.store import Store
    from core.catalogue.store.progress import StoreProgress

_FILE: Final = "downloads.json"
_LOG = logging.getLogger(__name__)


class Downloads(QObject):
    """Fetches models one after the other. No socket is opened before ``get`` or ``resume``.

    Args:
        keep: where the list is kept; by default in the folder for data.
        open_store, make_hub: called on threads.

    Signals:
        changed: the list, or the state of one of it.
        progressed: the ``Transfer`` that is under way, at most ten times a second.
        finished: a ``Transfer`` of which all files are here now.
        store_changed: there is more, or less, of the models than before.
    """

    changed = Signal()
    progressed = Signal(object)
    finished = Signal(object)
    store_changed = Signal()

    def __init__(
        self,
        keep: Path | None = None,
        open_store: Callable[[], Store] | None = None,
        make_hub: Callable[[], Hub] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._keep = keep
        self._open_store = open_store or _open_store
        self._make_hub = make_hub or _make_hub
        self._background = Background("download list")
        self._work = LongWork("download", self)
        self._transfers: tuple[Transfer, ...] = ()
        self._current = ""
        self._dropped: dict[str, bool] = {}
        self._listed = False

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """In the order of the work; finished ones until ``clear``."""
        return self._transfers

    @property
    def shown(self) -> Transfer | None:
        """The one that a status bar shows: under way, else failed, else paused."""
        for states in (("running", "pausing"), ("failed",), ("paused",), ("waiting",)):
            for transfer in self._transfers:
                if transfer.state in states:
                    return transfer
        return None

    @property
    def busy(self) -> bool:
        """Are files being written now?"""
        return self._work.busy

    def transfer(self, transfer_id: str) -> Transfer | None:
        """By its id."""
        return next((one for one in self._transfers if one.id == transfer_id), None)

    def of(self, asset_or_model: str) -> Transfer | None:
        """The open download that brings this model or asset."""
        return next(
            (one for one in self._transfers if one.open and asset_or_model in (*one.ids, *one.assets)), None
        )

    def start(self) -> None:
        """Read what an earlier start left; it stays paused until somebody asks for it."""
        self._background.run(self._read, self._on_read)

    def get(self, ids: Sequence[str], title: str = "", assets: Sequence[str] = ()) -> str:
        """Fetch models or assets; the same ones again go on.

        Args:
            ids: what is asked for.
            title: for people.
            assets: what that means, where it was worked out already.

        Returns:
            The id of the download.
        """
        for one in self._transfers:
            if one.open and one.ids == tuple(ids):
                if assets:
                    self._replace(replace(one, assets=tuple(assets)))
                self.resume(one.id)
                return one.id
        made = Transfer(uuid.uuid4().hex, title or ", ".join(ids), tuple(ids), assets=tuple(assets))
        self._transfers = (*self._transfers, made)
        self._list_changed()
        self._next()
        return made.id

    def pause(self, transfer_id: str) -> None:
        """What has come stays, and ``resume`` goes on from there."""
        one = self.transfer(transfer_id)
        if one is None or not one.active:
            return
        running = one.id == self._current
        self._replace(replace(one, state="pausing" if running else "paused"))
        self._list_changed()
        if running:
            self._work.stop()

    def resume(self, transfer_id: str) -> None:
        """Go on, or try again."""
        one = self.transfer(transfer_id)
        if one is not None and one.state in ("paused", "failed"):
            self._replace(replace(one, state="waiting", trouble=None))
            self._list_changed()
            self._next()

    def remove(self, transfer_id: str, delete: bool = True) -> None:
        """Take it off the list.

        Args:
            delete: also what has come of files that are not whole.
        """
        one = self.transfer(transfer_id)
        if one is None:
            return
        if one.id == self._current:
            self._dropped[one.id] = delete
            self._replace(replace(one, state="pausing"))
            self._work.stop()
            self.changed.emit()
        else:
            self._drop(one, delete)

    def clear(self) -> None:
        """Take the finished ones off the list."""
        self._transfers = tuple(one for one in self._transfers if one.open)
        self._list_changed()

    def go_online(self, transfer_id: str) -> None:
        """Switch the remembered offline mode off, then try again."""
        self._settle(_go_online, transfer_id)

    def use_endpoint(self, transfer_id: str, endpoint: str) -> None:
        """Remember another server (empty: the hub itself), then try again."""
        self._settle(lambda: _use_endpoint(endpoint), transfer_id)

    def use_token(self, transfer_id: str, token: str) -> None:
        """Keep an access token in the system's keyring, then try again."""
        self._settle(lambda: _use_token(token), transfer_id)

    def close(self) -> None:
        """Stop; the list stays for the next start."""
        self._work.close()
        self._background.close()
        if self._listed:
            try:
                self._writer()()  # how far it is now; a later try to write may have been dropped above
            except PirouetteError as error:
                _LOG.warning("The list of downloads: %s", error.sentence())

    def _read(self) -> tuple[Transfer, ...]:
        kept = from_data(download_work.read_kept(self._path()))
        if not kept:
            return ()
        store = self._open_store()
        left = []
        for one in kept:
            there, total, whole = download_work.found(store, one)
            if not whole:
                left.append(replace(one, done_bytes=there, total_bytes=max(total, one.total_bytes)))
        return tuple(left)

    def _on_read(self, kept: tuple[Transfer, ...]) -> None:
        known = {one.ids for one in self._transfers}
        self._transfers = (*(one for one in kept if one.ids not in known), *self._transfers)
        self._listed = self._listed or bool(kept)
        self.changed.emit()

    def _next(self) -> None:
        if self._work.busy:
            return
        waiting = next((one for one in self._transfers if one.state == "waiting"), None)
        if waiting is None:
            return
        self._current = waiting.id
        self._replace(replace(waiting, state="running"))
        self.changed.emit()
        self._work.run(
            lambda tell, check: self._bring(waiting, tell, check),
            lambda _: self._on_done(waiting.id),
            lambda error: self._on_failed(waiting.id, error),
            lambda told: self._on_told(waiting.id, told),
        )

    def _bring(self, transfer: Transfer, tell: Callable[[object], None], check: Callable[[], None]) -> None:
        if not transfer.assets:
            transfer = replace(transfer, assets=download_work.meant(self._open_store(), transfer.ids))
            tell(transfer.assets)
        download_work.bring(transfer, self._open_store, self._make_hub, tell, check)

    def _on_told(self, transfer_id: str, told: Any) -> None:
        one = self.transfer(transfer_id)
        if one is None:
            return
        if isinstance(told, tuple) and told and isinstance(told[0], str):
            self._replace(replace(one, assets=told))
            self._list_changed()
        elif isinstance(told, tuple):
            done, total = sum(file.done_bytes for file in told), sum(file.size_bytes for file in told)
            self._replace(replace(one, files=told, done_bytes=done, total_bytes=total))
            self._list_changed()
            self.store_changed.emit()  # what is announced counts as begun
        else:
            self._replace(_with_progress(one, told))
            self.progressed.emit(self.transfer(transfer_id))

    def _on_done(self, transfer_id: str) -> None:
        self._current = ""
        one = self.transfer(transfer_id)
        if one is not None:
            files = tuple(replace(file, done_bytes=file.size_bytes, phase="") for file in one.files)
            done = replace(paused(one), state="done", files=files, done_bytes=one.total_bytes)
            self._replace(done)
            self._dropped.pop(transfer_id, None)
            self._list_changed()
            self.store_changed.emit()
            self.finished.emit(done)
        self._next()

    def _on_failed(self, transfer_id: str, error: PirouetteError) -> None:
        self._current = ""
        one = self.transfer(transfer_id)
        if one is not None and transfer_id in self._dropped:
            self._drop(paused(one), self._dropped.pop(transfer_id))
        elif one is not None:
            stopped = paused(one)
            if not isinstance(error, Cancelled):
                trouble = download_work.trouble_of(error)
                stopped = replace(stopped, state="failed", trouble=trouble)
            self._replace(stopped)
            self._list_changed()
            self.store_changed.emit()
        self._next()

    def _drop(self, one: Transfer, delete: bool) -> None:
        self._transfers = tuple(other for other in self._transfers if other.id != one.id)
        self._list_changed()
        others = {asset for other in self._transfers if other.open for asset in other.assets}
        assets = tuple(asset for asset in one.assets if asset not in others)
        if delete and assets and one.open:
            self._background.run(
                lambda: download_work.throw_away(self._open_store(), assets),
                lambda _: self.store_changed.emit(),
            )

    def _settle(self, change: Callable[[], None], transfer_id: str) -> None:
        """Change what is remembered, then try again; what goes wrong stands at the download."""

        def refused(error: PirouetteError) -> None:
            one = self.transfer(transfer_id)
            if one is not None:
                before = one.trouble or TransferTrouble("", "")
                trouble = replace(before, message=error.statement(), action=error.action)
                self._replace(replace(one, state="failed", trouble=trouble))
                self.changed.emit()

        self._background.run(change, lambda _: self.resume(transfer_id), refused)

    def _replace(self, changed: Transfer) -> None:
        self._transfers = tuple(changed if one.id == changed.id else one for one in self._transfers)

    def _list_changed(self) -> None:
        self._listed = True
        self._background.run(self._writer(), lambda _: None, latest="list")
        self.changed.emit()

    def _writer(self) -> Callable[[], None]:
        data = to_data(self._transfers)
        return lambda: download_work.write_kept(self._path(), data)

    def _path(self) -> Path:
        return self._keep or places().data / _FILE


def _with_progress(one: Transfer, told: StoreProgress) -> Transfer:
    return replace(
        one,
        files=tuple(_with_file(file, told) for file in one.files),
        file=told.file,
        phase=told.phase,
        done_bytes=told.bytes_done + _left_out(one, told),
        bytes_per_s=told.bytes_per_s,
        eta_s=told.eta_s,
    )


def _with_file(file: TransferFile, told: StoreProgress) -> TransferFile:
    if file.key == told.file:
        return replace(file, done_bytes=told.file_bytes_done, phase=told.phase)
    return replace(file, phase="") if file.phase else file


def _left_out(one: Transfer, told: StoreProgress) -> int:
    """The store counts only what is not installed; the list shows all files of the model."""
    return max(0, one.total_bytes - told.bytes_total)


def _open_store() -> Store:
    from core.catalogue.store import open_store

    return open_store()


def _make_hub() -> Hub:
    from core.catalogue.store.connect import open_hub

    return open_hub()


def _go_online() -> None:
    from core.catalogue.store.choices import read_choices, write_choices

    write_choices(replace(read_choices(), offline=False))


def _use_endpoint(endpoint: str) -> None:
    from core.catalogue.addresses import checked_endpoint
    from core.catalogue.store.choices import read_choices, write_choices

    checked = checked_endpoint(endpoint.strip()) if endpoint.strip() else None
    write_choices(replace(read_choices(), endpoint=checked))


def _use_token(token: str) -> None:
    from core.catalogue.store.choices import chosen_endpoint, read_choices
    from core.catalogue.store.tokens import save_token

    save_token(chosen_endpoint(read_choices()), token)
