"""Whatever is dropped, pasted, opened or named on the command line finds its way to where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from PySide6.QtCore import QMimeData, QObject, QUrl, Signal
from PySide6.QtGui import QImage

from core.errors import PirouetteError
from desktop.model.diff import FoundSettings, MissingInput, relinked, restored
from desktop.model.intake import (
    MOST_EACH,
    VIDEOS,
    OverlayText,
    PairsWanted,
    Sorted,
    is_web_address,
    paths_in_text,
)
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.intake_words import IntakeWords
from desktop.presenters.library import Library
from desktop.presenters.pasted import keep_bytes, keep_image
from desktop.presenters.restoring import has_content, read_found
from desktop.presenters.sorting import sort_files

# As browsers and drawing programs offer them, kept as they are.
_PICTURE_FORMATS: Final = (("image/png", ".png"), ("image/jpeg", ".jpg"), ("image/webp", ".webp"))
# While something is dragged no more names than these are read: thousands would hold the window up.
_TOLD_APART: Final = 500
Pair = tuple[Path, Path]
Made = TypeVar("Made")


class Intake(QObject):
    """Sorts files on a thread and hands them on.

    Args:
        document: takes a single reference or motion at once.
        library: lists what is taken.
        background: looks at files.

    Signals:
        pairs_wanted: ``PairsWanted``: several references or motions, of which somebody has to choose pairs.
        queue_wanted: list of (reference, motion) that were chosen.
        settings_found: ``FoundSettings`` of a result.
        queue_file, project_file: path as text.
        refused: message, action.
        told: something was done that is not seen at once.
        busy_changed: files are being looked at.
        overlay_changed: a better ``OverlayText`` for what is dragged just now.
    """

    pairs_wanted = Signal(object)
    queue_wanted = Signal(object)
    settings_found = Signal(object)
    queue_file = Signal(str)
    project_file = Signal(str)
    refused = Signal(str, str)
    told = Signal(str)
    busy_changed = Signal(bool)
    overlay_changed = Signal(object)

    def __init__(
        self, document: Document, library: Library, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._library, self._background = document, library, background
        self._words = IntakeWords(self)
        self._busy = 0

    def take(self, paths: Sequence[Path]) -> None:
        """Use files and folders: at once where there is no choice, else after a question."""
        self._sort(paths, self._on_sorted)

    def add(self, paths: Sequence[Path]) -> None:
        """List files in the library; a single reference or motion is chosen as well."""
        self._sort(paths, self._on_added)

    def take_mime(self, data: QMimeData | None) -> bool:
        """Use what was dropped or pasted; false, with a reason, where there is nothing to use.

        Args:
            data: None where the clipboard has nothing at all.
        """
        data = data or QMimeData()
        urls = data.urls() if data.hasUrls() else []
        paths = paths_in_text(data.text()) if data.hasText() and not urls else ()
        if any(url.isLocalFile() for url in urls):
            self._work(lambda: sort_files(_local(urls)), self._on_sorted)
        elif paths:
            self.take(paths)
        elif not self._take_picture(data):
            self.refused.emit(*self._words.nothing(_has_web_address(data)))
            return False
        return True

    def concerns(self, data: QMimeData) -> bool:
        """Whether a drag is ours to take or to refuse; text and the like are left to what they are over."""
        return data.hasUrls() or _offers_picture(data) or bool(_some_files(data)[0])

    def sentence(self, data: QMimeData) -> OverlayText | None:
        """What dropping this would do, told by names alone; None where it is not ours.

        A better text may follow through ``overlay_changed``: only its content tells that a video is a result.
        """
        self._background.forget("overlay")
        if not self.concerns(data):
            return None
        count, paths = _some_files(data)
        if not paths:
            return self._words.picture() if _offers_picture(data) else self._words.web_address()
        if count > len(paths):
            return self._words.many(count)
        if len(paths) == 1 and paths[0].suffix.lower() in VIDEOS:
            self._background.run(partial(sort_files, paths), self._on_looked, latest="overlay")
        return self._words.overlay(paths)

    def accept_pairs(self, pairs: Sequence[Pair]) -> None:
        """Render these pairs."""
        self._library.remember("reference", list(dict.fromkeys(reference for reference, _ in pairs)))
        self._library.remember("motion", list(dict.fromkeys(motion for _, motion in pairs)))
        self.queue_wanted.emit(list(pairs))

    def list_only(self, wanted: PairsWanted) -> None:
        """Render nothing, but list the files."""
        self._list(wanted.references, wanted.motions)

    def restore(self, found: FoundSettings, keys: Sequence[str]) -> None:
        """Bring chosen settings of a result back, as one step of undo."""
        draft = restored(self._document.draft, found.then, keys)
        self._document.set_draft(self.tr("Restore settings"), draft)

    def use_as_motion(self, path: Path) -> None:
        """A result is a video too."""
        self._document.change(self.tr("Motion"), motion=path)

    def relink(
        self,
        found: FoundSettings,
        missing: MissingInput,
        path: Path,
        then: Callable[[FoundSettings, bool], None],
    ) -> None:
        """Take a file in the place of a missing one.

        Args:
            then: gets the settings with the file, and whether it is the very file.
        """
        sha256 = missing.sha256
        self._background.run(
            lambda: sha256 is None or has_content(path, sha256),
            lambda is_same: then(relinked(found, missing, path), is_same),
        )

    def _sort(self, paths: Sequence[Path], then: Callable[[Sorted], None]) -> None:
        whole = [path.absolute() for path in paths]
        if whole:
            self._work(lambda: sort_files(whole), then)

    def _work(self, work: Callable[[], Made], then: Callable[[Made], None]) -> None:
        """On a thread; whether anything is under way is told."""

        def done(made: Made) -> None:
            self._count(-1)
            then(made)

        self._count(+1)
        self._background.run(work, done, self._on_error)

    def _count(self, step: int) -> None:
        before, self._busy = self._busy > 0, self._busy + step
        if before != (self._busy > 0):
            self.busy_changed.emit(self._busy > 0)

    def _on_error(self, error: PirouetteError) -> None:
        self._count(-1)
        self.refused.emit(error.statement(), error.action)

    def _on_sorted(self, found: Sorted) -> None:
        self._tell_refused(found)
        if len(found.projects) == 1:
            self.project_file.emit(str(found.projects[0]))
            return
        if found.projects:
            self.refused.emit(*self._words.one_project())
        for path in found.queues:
            self.queue_file.emit(str(path))
        if found.result_settings is not None:
            self._read_settings(found.motions[0], found.result_settings)
        else:
            self._use(found)

    def _on_added(self, found: Sorted) -> None:
        self._tell_refused(found)
        if len(found.pictures) <= 1 and len(found.motions) <= 1:
            self._choose(found.pictures, found.motions)
        else:
            self._list(found.pictures, found.motions)
            self._told_cut_off(found.cut_off)

    def _use(self, found: Sorted) -> None:
        if len(found.pictures) <= 1 and len(found.motions) <= 1:
            self._choose(found.pictures, found.motions)
            return
        draft = self._document.draft
        references = found.pictures or ((draft.reference,) if draft.reference is not None else ())
        motions = found.motions or ((draft.motion,) if draft.motion is not None else ())
        if references and motions:
            self.pairs_wanted.emit(PairsWanted(references, motions, found.cut_off))
        else:
            self._list(found.pictures, found.motions)
            self._told_cut_off(found.cut_off)

    def _choose(self, pictures: Sequence[Path], motions: Sequence[Path]) -> None:
        values: dict[str, Any] = {}
        if pictures:
            values["reference"] = pictures[0]
        if motions:
            values["motion"] = motions[0]
        if values:
            self._document.change(self._words.change(bool(pictures), bool(motions)), **values)

    def _list(self, pictures: Sequence[Path], motions: Sequence[Path]) -> None:
        self._library.remember("reference", pictures)
        self._library.remember("motion", motions)
        if pictures or motions:
            self.told.emit(self._words.listed(len(pictures), len(motions)))

    def _told_cut_off(self, cut_off: bool) -> None:
        if cut_off:
            self.told.emit(self._words.cut_off(MOST_EACH))

    def _tell_refused(self, found: Sorted) -> None:
        if found.refused:
            self.refused.emit(*self._words.refused(found.refused))

    def _read_settings(self, path: Path, settings: dict[str, object]) -> None:
        draft = self._document.draft
        given = (draft.reference, draft.motion, draft.keypoints, draft.reference_keypoints, draft.sound_from)
        listed = [*(each for each in given if each is not None), *self._library.paths()]
        listed += [Path(lora.path) for lora in draft.loras]

        def failed(_error: PirouetteError) -> None:
            self._count(-1)
            self._choose((), (path,))  # not settings that we know: a video like any other

        self._count(+1)
        self._background.run(lambda: read_found(path, settings, listed), self._on_settings, failed)

    def _on_settings(self, found: FoundSettings) -> None:
        self._count(-1)
        self.settings_found.emit(found)

    def _take_picture(self, data: QMimeData) -> bool:
        raw = _raw_picture(data)
        if raw is not None:
            encoded, suffix = raw
            self._work(lambda: keep_bytes(encoded, suffix), self._on_pasted)
            return True
        image = data.imageData() if data.hasImage() else None
        if not isinstance(image, QImage) or image.isNull():
            return False
        self._work(lambda: keep_image(image), self._on_pasted)
        return True

    def _on_pasted(self, path: Path) -> None:
        self._choose((path,), ())

    def _on_looked(self, found: Sorted) -> None:
        if found.result_settings is not None:
            self.overlay_changed.emit(self._words.result(found.motions[0]))
        elif found.refused:
            self.overlay_changed.emit(self._words.overlay_refused(found.refused))


def _some_files(data: QMimeData) -> tuple[int, tuple[Path, ...]]:
    """How many files a drag has, and the first of them; text counts where it is nothing but paths."""
    if data.hasUrls():
        urls = data.urls()
        paths = _local(urls[:_TOLD_APART])
        return (len(urls) if len(urls) > _TOLD_APART else len(paths)), paths
    paths = paths_in_text(data.text()) if data.hasText() else ()
    return len(paths), paths[:_TOLD_APART]


def _local(urls: Sequence[QUrl]) -> tuple[Path, ...]:
    return tuple(Path(url.toLocalFile()) for url in urls if url.isLocalFile())


def _offers_picture(data: QMimeData) -> bool:
    """By the names of formats alone: what another program offers may take long to fetch."""
    return data.hasImage() or any(data.hasFormat(name) for name, _ in _PICTURE_FORMATS)


def _raw_picture(data: QMimeData) -> tuple[bytes, str] | None:
    for name, suffix in _PICTURE_FORMATS:
        if data.hasFormat(name):
            encoded = bytes(data.data(name).data())
            if encoded:
                return encoded, suffix
    return None


def _has_web_address(data: QMimeData) -> bool:
    addresses = [url.toString() for url in data.urls()] if data.hasUrls() else [data.text()]
    return any(is_web_address(text) for text in addresses)
