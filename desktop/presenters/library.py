"""The library: recent files and the shipped ones, kept between starts; what is chosen is the document's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal

from core.catalogue.demo import demo_characters, demo_motions
from core.errors import PirouetteError
from core.media.disk import exists
from core.settings import places, queue_folder
from desktop.model.draft import Draft
from desktop.model.library_items import (
    KINDS,
    Kind,
    LibraryItem,
    Recent,
    name_of,
    read_recent,
    with_recent,
    write_recent,
)
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.library_model import LibraryModel
from desktop.presenters.reveal import reveal
from desktop.presenters.thumbnails import Thumbnails

_LOG = logging.getLogger(__name__)
FILE: Final = "library.json"


class Library(QObject):
    """Two lists, references and motions.

    Args:
        document: choosing changes it, and the lists show what it has.
        thumbnails: makes the pictures.
        background: looks whether files are still there, and saves.

    Signals:
        refused: a listed file cannot be chosen: message, action.
    """

    refused = Signal(str, str)

    def __init__(
        self,
        document: Document,
        thumbnails: Thumbnails,
        background: Background,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._background = document, background
        self._file = places().config / FILE
        self._shipped: dict[Kind, tuple[Path, ...]] = {
            "reference": tuple(demo_characters()),
            "motion": tuple(demo_motions()),
        }
        self.references = LibraryModel(thumbnails, self)
        self.motions = LibraryModel(thumbnails, self)
        # Some kilobytes of names: read here, so that the first paint shows them.
        self._recent: Recent = read_recent(self._file)
        self._saved = self._recent
        for kind in KINDS:
            self._list(kind)
        document.draft_changed.connect(self._on_draft)
        self._on_draft(document.draft)
        self.look_again()

    def model(self, kind: Kind) -> LibraryModel:
        """The rows of one list."""
        return self.references if kind == "reference" else self.motions

    def recent(self, kind: Kind) -> tuple[Path, ...]:
        """The user's own files."""
        return self._recent[kind]

    def paths(self) -> tuple[Path, ...]:
        """Every listed file of both kinds."""
        return tuple(item.path for kind in KINDS for item in self.model(kind).items)

    def remember(self, kind: Kind, paths: Sequence[Path]) -> None:
        """List files of the user, the newest first; known ones keep their places."""
        known = {item.path for item in self.model(kind).items}
        new = [path for path in dict.fromkeys(paths) if path not in known]
        if not new:
            return
        self._set_recent(kind, with_recent(self._recent[kind], new))
        self.model(kind).put_first([LibraryItem(kind, path, name_of(path)) for path in new])
        for item in self.model(kind).items:
            if not item.shipped and item.path not in self._recent[kind]:
                self.model(kind).remove(item.path)  # pushed out at the end of the list
        self._mark(self._document.draft)

    def remove(self, kind: Kind, path: Path) -> None:
        """Forget a file of the user; the file itself stays."""
        if path in self._recent[kind]:
            self._set_recent(kind, tuple(each for each in self._recent[kind] if each != path))
            self.model(kind).remove(path)

    def remove_missing(self, kind: Kind) -> None:
        """Forget all files that are not there any more."""
        for item in self.model(kind).items:
            if item.missing:
                self.remove(kind, item.path)

    def choose(self, kind: Kind, path: Path) -> None:
        """Use a listed file for the next render, or say why not."""
        row = self.model(kind).row_of(path)
        item = self.model(kind).items[row] if row >= 0 else None
        if item is not None and item.missing:
            self.refused.emit(
                self.tr("{name} is not there any more.").format(name=item.name),
                self.tr("Put the file back to {folder}, or remove it from the list.").format(
                    folder=path.parent
                ),
            )
            self.look_again()
        elif kind == "reference":
            self._document.change(self.tr("Reference picture"), reference=path)
        else:
            self._document.change(self.tr("Motion"), motion=path)

    def show_in_folder(self, item: LibraryItem) -> None:
        """In the system's file manager."""
        if not reveal(item.path):
            self.refused.emit(
                self.tr("The folder of {name} cannot be opened.").format(name=item.name),
                self.tr("It may have been moved: {folder}").format(folder=item.path.parent),
            )

    def look_again(self) -> None:
        """See which files are there: at the start, and when the user comes back to the window."""
        paths = [path for kind in KINDS for path in self._recent[kind]]
        self._background.run(
            lambda: frozenset(path for path in paths if not exists(path)),
            self._on_missing,
            latest="library-missing",
        )

    def close(self) -> None:
        """Let go of the thumbnails; what is not saved yet, is saved now."""
        for kind in KINDS:
            self.model(kind).close()
        if self._recent is not self._saved:
            try:
                write_recent(self._file, self._recent)
            except PirouetteError as error:
                _LOG.warning("The library is not saved: %s", error.sentence())

    def _list(self, kind: Kind) -> None:
        own = [LibraryItem(kind, path, name_of(path)) for path in self._recent[kind]]
        shipped = [
            LibraryItem(kind, path, name_of(path, shipped=True), shipped=True) for path in self._shipped[kind]
        ]
        self.model(kind).set_items([*own, *shipped])

    def _on_draft(self, draft: Draft) -> None:
        """Files that came with a project or a result are recent ones, too; copies in the queue are not."""
        copies = queue_folder()
        for kind, path in (("reference", draft.reference), ("motion", draft.motion)):
            if path is not None and not path.is_relative_to(copies):
                self.remember("reference" if kind == "reference" else "motion", [path])
        self._mark(draft)

    def _mark(self, draft: Draft) -> None:
        self.references.set_chosen(draft.reference)
        self.motions.set_chosen(draft.motion)

    def _on_missing(self, missing: frozenset[Path]) -> None:
        for kind in KINDS:
            self.model(kind).set_missing(missing)

    def _set_recent(self, kind: Kind, paths: tuple[Path, ...]) -> None:
        self._recent = {**self._recent, kind: paths}
        recent = self._recent
        self._background.run(
            lambda: write_recent(self._file, recent), lambda _: self._on_saved(recent), latest="library-save"
        )

    def _on_saved(self, recent: Recent) -> None:
        self._saved = recent
