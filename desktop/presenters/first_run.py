"""The first-run card: what this machine can run, and the way to get it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from core.errors import PirouetteError
from desktop.model.first_run import Card
from desktop.presenters import first_run_work
from desktop.presenters.background import Background
from desktop.presenters.downloads import Downloads
from desktop.presenters.machine_watch import MachineWatch
from desktop.presenters.window_settings import WindowSettings

if TYPE_CHECKING:
    from core.catalogue.measurements import Measurements
    from core.catalogue.store import Store

_DISMISSED: Final = "first_run_dismissed"


class FirstRun(QObject):
    """Reads the card, remembers whether it was sent away, and starts the download.

    Nothing is read before ``start`` or ``look``, and nothing here opens a socket.

    Args:
        machine: what this computer has.
        downloads: fetches the files.
        settings: remembers that the card was sent away; None forgets it.
        open_store, measurements: called on a thread.

    Signals:
        offered: the card should be shown by itself: no 14B checkpoint is here and nobody sent it away.
        changed: the card, or what stands in its way, is another one.
        started: the download has begun; its id.
    """

    offered = Signal()
    changed = Signal()
    started = Signal(str)

    def __init__(
        self,
        machine: MachineWatch,
        downloads: Downloads,
        settings: WindowSettings | None = None,
        open_store: Callable[[], Store] | None = None,
        measurements: Callable[[], Measurements | None] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.machine, self.downloads = machine, downloads
        self._settings = settings
        self._open_store = open_store or _open_store
        self._measurements = measurements or _measurements
        self._background = Background("first run")
        self._card: Card | None = None
        self._folder: Path | None = None
        self._agreed: frozenset[str] = frozenset()
        self._problem: PirouetteError | None = None
        self._offer_wanted = False
        self._wanted = False
        self._starting = False
        machine.device_changed.connect(self._on_change)
        downloads.store_changed.connect(self._on_change)

    @property
    def card(self) -> Card | None:
        """None until it was read."""
        return self._card

    @property
    def problem(self) -> PirouetteError | None:
        """Why there is no card, or why the download did not begin."""
        return self._problem

    @property
    def starting(self) -> bool:
        """Is the folder being prepared?"""
        return self._starting

    @property
    def agreed(self) -> bool:
        """Were all licences that ask for it agreed to?"""
        return self._card is not None and self._agreed.issuperset(self._card.licences)

    @property
    def dismissed(self) -> bool:
        """Was the card sent away for good?"""
        return self._settings is not None and self._settings.flag(_DISMISSED)

    def start(self) -> None:
        """Look once whether the card is to be offered; call it when the window is painted."""
        self._offer_wanted = not self.dismissed
        if self._offer_wanted:
            self.look()

    def look(self) -> None:
        """Read the card, now and whenever something of it changes."""
        self._wanted = True
        self._read()

    def leave(self) -> None:
        """Nobody looks at the card any more."""
        self._wanted = False

    def later(self) -> None:
        """Send the card away; it stays reachable from the menu."""
        if self._settings is not None:
            self._settings.set_flag(_DISMISSED, True)

    def set_folder(self, folder: Path) -> None:
        """Another place for the files; nothing is written before ``download``."""
        self._background.run(
            lambda: first_run_work.suitable(folder), self._on_folder, self._on_refused, latest="folder"
        )

    def agree(self, on: bool) -> None:
        """To the licences that are shown."""
        self._agreed = frozenset(self._card.licences) if on and self._card is not None else frozenset()
        self.changed.emit()

    def go_online(self) -> None:
        """Switch the remembered offline mode off."""
        self._background.run(_go_online, lambda _: self._read(), self._on_refused)

    def hindrance(self) -> str:
        """Why the download cannot begin; empty where it can, or nothing is left to fetch."""
        card = self._card
        if card is None or self._starting:
            return self.tr("The computer is being looked at.")
        if card.offline:
            return self.tr("Offline mode is on.")
        if card.lacking_bytes:
            return self.tr("The drive has too little room.")
        return "" if self.agreed else self.tr("The licence is not agreed to yet.")

    def download(self) -> None:
        """Begin in the background."""
        card = self._card
        if card is None or self.hindrance():
            return
        self._starting, self._problem = True, None
        self.changed.emit()
        self._background.run(
            lambda: first_run_work.put_models_in(self._open_store(), card.folder),
            lambda _: self._on_ready(card),
            self._on_refused,
        )

    def close(self) -> None:
        """Read nothing any more."""
        self.machine.device_changed.disconnect(self._on_change)
        self.downloads.store_changed.disconnect(self._on_change)
        self._background.close()

    def _on_change(self, _: object = None) -> None:
        if self._wanted:
            self._read()

    def _read(self) -> None:
        machine, device, folder = self.machine.machine, self.machine.device, self._folder
        if machine is None:
            return  # ``device_changed`` comes with it

        def read() -> Card:
            return first_run_work.read_card(self._open_store(), machine, device, folder, self._measurements())

        self._background.run(read, self._on_card, self._on_refused, latest="card")

    def _on_card(self, card: Card) -> None:
        self._card, self._problem = card, None
        self.changed.emit()
        if self._offer_wanted:
            self._offer_wanted = False
            if not card.installed and self.downloads.shown is None:
                self.offered.emit()

    def _on_folder(self, folder: Path) -> None:
        self._folder = folder
        self._read()

    def _on_refused(self, error: PirouetteError) -> None:
        self._problem, self._starting = error, False
        self.changed.emit()

    def _on_ready(self, card: Card) -> None:
        self._starting, self._folder = False, None
        self.later()
        self.started.emit(self.downloads.get((card.model,), card.title, card.assets))
        self.changed.emit()


def _open_store() -> Store:
    from core.catalogue.store import open_store

    return open_store()


def _measurements() -> Measurements | None:
    from core.catalogue.measurements import Measurements

    return Measurements()


def _go_online() -> None:
    from dataclasses import replace

    from core.catalogue.store.choices import read_choices, write_choices

    write_choices(replace(read_choices(), offline=False))
