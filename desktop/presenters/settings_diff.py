"""What the dialog of a dropped result shows and does: differences to tick, missing files to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop.model.diff import FoundSettings, MissingInput, differences
from desktop.presenters.diff_words import DiffWords
from desktop.presenters.document import Document
from desktop.presenters.intake import Intake


@dataclass(frozen=True)
class DiffRow:
    """One setting in words."""

    key: str
    name: str
    now: str
    then: str


class SettingsDiff(QObject):
    """Compares a result's settings with the document's.

    Args:
        found: what the result remembers.
        document: has the settings of now.
        intake: takes the answer.

    Signals:
        changed: other rows or other missing files.
    """

    changed = Signal()

    def __init__(
        self, found: FoundSettings, document: Document, intake: Intake, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._found, self._document, self._intake = found, document, intake
        self._words = DiffWords(self)
        self._unlike: dict[str, str] = {}
        self._closed = False

    @property
    def path(self) -> Path:
        """Of the result."""
        return self._found.path

    @property
    def missing(self) -> tuple[MissingInput, ...]:
        """Files that were not found yet."""
        return self._found.missing

    def rows(self) -> tuple[DiffRow, ...]:
        """What differs; a setting whose file is missing is not among them."""
        return tuple(
            DiffRow(
                each.key,
                self._words.name(each.key),
                self._words.value(each.key, each.now),
                self._words.value(each.key, each.then),
            )
            for each in differences(self._document.draft, self._found.then)
            if each.key not in {lost.field for lost in self.missing}
        )

    def sentence(self, missing: MissingInput) -> str:
        """That a file was not found."""
        return self._words.missing(missing.field, missing.name)

    def warnings(self) -> tuple[str, ...]:
        """Files that were given in the place of missing ones and are others."""
        return tuple(self._unlike.values())

    def relink(self, missing: MissingInput, path: Path) -> None:
        """Take this file in the place of a missing one; its content is compared first."""

        def then(found: FoundSettings, is_same: bool) -> None:
            if self._closed:
                return
            self._found = found
            if not is_same:
                self._unlike[missing.field] = self._words.another(path.name)
            self.changed.emit()

        self._intake.relink(self._found, missing, path, then)

    def restore(self, keys: Sequence[str]) -> None:
        """Bring these back."""
        self._intake.restore(self._found, keys)

    def use_as_motion(self) -> None:
        """Take the result as a video."""
        self._intake.use_as_motion(self._found.path)

    def close(self) -> None:
        """What is still compared does not matter any more."""
        self._closed = True
