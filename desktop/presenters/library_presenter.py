"""Pictures and motions to choose from: the shipped ones first, then files that the user brings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from core.catalogue.demo import demo_characters, demo_motions
from core.errors import BadInput, PirouetteError
from desktop.presenters.previews import motion_preview, reference_preview

Kind = Literal["reference", "motion"]
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
MOTIONS = (".json", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """One entry of the library; ``shipped`` for the demo's own."""

    kind: Kind
    path: Path
    name: str
    shipped: bool


def kind_of(path: Path) -> Kind:
    """What a file can be used as, by its name; its content is checked when the preview is made.

    Raises:
        BadInput: neither a picture nor a motion.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        return "reference"
    if suffix in MOTIONS or path.is_dir():
        return "motion"
    raise BadInput(
        f"{path.name} is neither a picture nor a motion.",
        value=suffix,
        limit=", ".join((*PICTURES, *MOTIONS)),
        action="Drop a PNG, JPEG or WebP picture, a video, or a keypoint file.",
    )


def title(path: Path) -> str:
    """A file's name for people: ``side_step.pose.json`` becomes ``Side step``."""
    return path.name.split(".")[0].replace("_", " ").replace("-", " ").strip().capitalize() or path.name


class LibraryPresenter(QObject):
    """Holds the items and makes their previews one after the other on its own thread.

    Signals:
        added: an ``Item`` to show.
        preview_ready: (path as text, list of QImage; a motion has several, to be played at 16 fps).
        refused: (path as text, message, action): the file cannot be used and is not in the library.
        chosen: an ``Item`` that the user has just brought and therefore wants.
    """

    added = Signal(object)
    preview_ready = Signal(str, object)
    refused = Signal(str, str, str)
    chosen = Signal(object)
    _previewed = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._items: dict[Path, Item] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="previews")
        self._previewed.connect(self._show)

    def load_shipped(self) -> None:
        """Announce the demo's characters and motions."""
        for path in demo_characters():
            self._begin(Item("reference", path, title(path), shipped=True))
        for path in demo_motions():
            self._begin(Item("motion", path, title(path), shipped=True))

    def add(self, paths: Sequence[Path]) -> None:
        """Take files from a dialogue or a drop; each is announced once its preview could be made."""
        for path in paths:
            known = self._items.get(path)
            if known is not None:
                self.chosen.emit(known)
                continue
            try:
                item = Item(kind_of(path), path, title(path), shipped=False)
            except BadInput as error:
                self.refused.emit(str(path), error.statement(), error.action)
                continue
            self._begin(item)

    def close(self) -> None:
        """Stop making previews and wait for the one under way."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _begin(self, item: Item) -> None:
        if item.shipped:
            self._items[item.path] = item
            self.added.emit(item)
        make = reference_preview if item.kind == "reference" else motion_preview
        future = self._worker.submit(make, item.path)
        future.add_done_callback(lambda done: self._report(item, done))

    def _report(self, item: Item, done: Future[list[QImage]]) -> None:
        """On the worker's thread: hand the outcome over to the window's."""
        if done.cancelled():
            return
        error = done.exception()
        self._previewed.emit(item, None if error else done.result(), error)

    def _show(self, item: Item, images: list[QImage] | None, error: BaseException | None) -> None:
        if error is not None:
            self._refuse(item, error)
            return
        if item.path not in self._items:
            self._items[item.path] = item
            self.added.emit(item)
        self.preview_ready.emit(str(item.path), images)
        if not item.shipped:
            self.chosen.emit(item)

    def _refuse(self, item: Item, error: BaseException) -> None:
        if isinstance(error, PirouetteError):
            self.refused.emit(str(item.path), error.statement(), error.action)
            return
        _LOG.error("No preview of %s", item.path, exc_info=error)
        self.refused.emit(str(item.path), f"{item.path.name} cannot be read.", "Try another file.")
