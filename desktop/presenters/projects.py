"""Opens and saves projects, and keeps a copy of the open one that outlives a crash."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from core.errors import BadInput, PirouetteError
from core.media.disk import exists
from core.settings import places
from desktop.model.draft import Draft
from desktop.model.facts import Facts
from desktop.model.project import (
    SUFFIX,
    Project,
    ResultFile,
    load_project,
    missing_files,
    relinked,
    save_project,
)
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.window_settings import WindowSettings

_LOG = logging.getLogger(__name__)
_KEEP_AFTER_MS: Final = 1000
_MOST_RECENT: Final = 10
_RECENT: Final = "recent_projects"


class Projects(QObject):
    """The open project as a file.

    Args:
        document: holds the draft.
        settings: remembers the latest projects.
        background: writes the copy.
        kept: where the copy lies, by default in the folder for data.

    Signals:
        changed: the name, the file, or whether there are unsaved changes.
        recent_changed: the list of latest projects.
        results_restored: tuple of ``ResultFile`` of the project that was opened.
        view_restored: mapping of what was on the stage.
        missing: tuple of paths that the opened project names and that are not there.
        failed: (message, action).
    """

    changed = Signal()
    recent_changed = Signal()
    results_restored = Signal(object)
    view_restored = Signal(object)
    missing = Signal(object)
    failed = Signal(str, str)

    def __init__(
        self,
        document: Document,
        settings: WindowSettings,
        background: Background,
        kept: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._settings, self._background = document, settings, background
        self._kept = kept or places().data / "projects" / f"open{SUFFIX}"
        self._path: Path | None = None
        self._saved = document.draft
        self._told = self._closed = False
        self._keeping = threading.Lock()
        self._draft: Callable[[], Draft] = lambda: document.draft
        self._results: Callable[[], tuple[ResultFile, ...]] = tuple
        self._view: Callable[[], dict[str, str | float]] = dict
        self._timer = QTimer(self, singleShot=True, interval=_KEEP_AFTER_MS)
        self._timer.timeout.connect(self._keep)
        document.draft_changed.connect(self._on_draft)

    @property
    def path(self) -> Path | None:
        """The file, None while the project has none."""
        return self._path

    @property
    def edited(self) -> bool:
        """Are there changes that the file does not have?"""
        return self._draft() != self._saved

    @property
    def recent(self) -> list[Path]:
        """Projects opened or saved lately that are still there, the latest first."""
        return [path for path in self._settings.paths(_RECENT) if exists(path)]

    def keep_own(self, draft: Callable[[], Draft]) -> None:
        """Where the user's draft is, while the document shows the settings of a queued job."""
        self._draft = draft

    def keep_too(
        self, results: Callable[[], tuple[ResultFile, ...]], view: Callable[[], dict[str, str | float]]
    ) -> None:
        """What a project has beside its draft: finished renders, and what is on the stage."""
        self._results, self._view = results, view

    def touch(self) -> None:
        """Something beside the draft has changed: keep it soon."""
        self._timer.start()

    def new(self, draft: Draft | None = None) -> None:
        """An empty project in which the model chosen stays, or one that begins with this draft."""
        self._take(Project(draft or Draft(model=self._document.draft.model)), None)

    def open(self, path: Path) -> None:
        """Read a project and make it the open one; nothing changes where it cannot be read."""
        try:
            project = load_project(path)
        except PirouetteError as error:
            self.failed.emit(error.statement(), error.action)
            return
        self._take(project, path)
        self._remember(path)

    def save(self, path: Path | None = None) -> bool:
        """Write to this file, or to the one it has; False where that failed."""
        target = path or self._path
        if target is None:
            return False
        if target.suffix.lower() != SUFFIX:
            target = target.with_name(target.name + SUFFIX)
        try:
            save_project(self._project(), target)
        except PirouetteError as error:
            self.failed.emit(error.statement(), error.action)
            return False
        self._path, self._saved = target, self._draft()
        self._remember(target)
        self._timer.start()
        self.changed.emit()
        return True

    def relink(self, missing: Path, found: Path) -> None:
        """Use another file in place of a missing one; one step of undo."""
        draft = relinked(self._document.draft, missing, found)
        self._document.set_draft(self.tr("Relink"), draft)
        self._document.look_again()

    def restore_last(self) -> bool:
        """Open what was open when the app ended, however it ended; False where there is nothing."""
        if not self._kept.is_file():
            return False
        try:
            project = load_project(self._kept)
        except PirouetteError as error:
            _LOG.warning("The last project cannot be restored: %s", error.sentence())
            return False
        saved = self._saved_draft(project)
        self._take(project, project.saved_as, _for(project.draft, project.facts))
        if saved is not None:
            self._saved = saved
            self.changed.emit()
        return True

    def close(self) -> None:
        """Keep the last state, now, and none that is older after that."""
        self._timer.stop()
        last = self._project(kept=True)
        with self._keeping:
            self._closed = True
            self._write(last)

    def _saved_draft(self, project: Project) -> Draft | None:
        """What the file has, where the kept copy is newer; an empty draft where there is no file."""
        if not project.edited:
            return None
        if project.saved_as is None:
            return Draft()
        try:
            return load_project(project.saved_as).draft
        except BadInput:
            return Draft()

    def _take(self, project: Project, path: Path | None, known: Facts | None = None) -> None:
        self._path, self._saved = path, project.draft
        self._document.restore(project.draft, known)
        self.results_restored.emit(project.results)
        self.view_restored.emit(project.view)
        self._timer.start()
        self.changed.emit()
        missing = missing_files(project.draft)
        if missing:
            self.missing.emit(missing)

    def _on_draft(self, _draft: Draft) -> None:
        self._timer.start()
        self.changed.emit()

    def _project(self, kept: bool = False) -> Project:
        project = Project(self._draft(), self._results(), self._view())
        if not kept:
            return project
        return replace(project, saved_as=self._path, edited=self.edited, facts=self._document.facts)

    def _keep(self) -> None:
        project = self._project(kept=True)
        self._background.run(lambda: self._write_open(project), lambda _: None, latest="keep")

    def _write_open(self, project: Project) -> None:
        """On a thread, which may get to it only when the app has ended."""
        with self._keeping:
            if not self._closed:
                self._write(project)

    def _write(self, project: Project) -> None:
        """On any thread: losing the copy must not disturb the work."""
        try:
            save_project(project, self._kept)
        except PirouetteError as error:
            if not self._told:
                self._told = True
                _LOG.warning("The open project is not kept: %s", error.sentence())

    def _remember(self, path: Path) -> None:
        others = [one for one in self._settings.paths(_RECENT) if one != path]
        self._settings.set_paths(_RECENT, [path, *others][:_MOST_RECENT])
        self.recent_changed.emit()


def _for(draft: Draft, facts: Facts) -> Facts | None:
    """The facts, where they are of this draft's files and of all of them."""
    fits_picture = facts.picture is not None and facts.picture.path == draft.reference
    fits_motion = facts.clip is not None and facts.clip.path == draft.motion
    return facts if fits_picture and fits_motion else None
