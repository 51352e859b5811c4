"""The open project: the draft with its history, the facts of its files, and where it is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from core.errors import PirouetteError
from core.types import MotionKind
from desktop.model.draft import Draft, changed
from desktop.model.facts import Facts, MotionFacts, PictureFacts, Trouble
from desktop.presenters.background import Background
from desktop.presenters.inspect_files import motion_facts, picture_facts

# Changes of one kind that follow each other this closely are one step of undo: a drag, typing.
_SAME_CHANGE_S: Final = 1.0
_MERGE_ID: Final = 1


class Document(QObject):
    """Holds the draft; every change goes through the undo stack.

    Args:
        background: looks at files.
        clock: seconds of a steady clock.

    Signals:
        draft_changed: the new ``Draft``.
        facts_changed: the new ``Facts``.
    """

    draft_changed = Signal(object)
    facts_changed = Signal(object)

    def __init__(
        self,
        background: Background,
        clock: Callable[[], float] = time.monotonic,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self._background = background
        self._clock = clock
        self._draft = Draft()
        self._facts = Facts()

    @property
    def draft(self) -> Draft:
        """As it is now."""
        return self._draft

    @property
    def facts(self) -> Facts:
        """What is known of the files of the draft."""
        return self._facts

    def change(self, text: str, merge: str = "", **values: object) -> None:
        """Replace fields of the draft, as one step of undo.

        Args:
            text: what undo calls it: "Trim", "Seed".
            merge: changes with the same key that follow each other within a second are one step.
            values: fields of ``Draft``; what belonged to a replaced motion or reference goes with it.
        """
        self.set_draft(text, changed(self._draft, **values), merge)

    def set_draft(self, text: str, draft: Draft, merge: str = "") -> None:
        """Replace the whole draft, as one step of undo; nothing happens where it is the same."""
        if draft != self._draft:
            self.undo_stack.push(_Change(self, self._draft, draft, text, merge, self._clock()))

    def restore(self, draft: Draft, known: Facts | None = None) -> None:
        """Take a draft over from a project; nothing can be undone beyond it.

        Args:
            known: what was known of its files when it was kept; they are not looked at then.
        """
        self.undo_stack.clear()
        if known is None:
            self.show(draft)
            return
        self._draft = draft
        self._set_facts(known)
        self.draft_changed.emit(draft)

    def look_again(self) -> None:
        """The files may have changed: look at both once more."""
        self._look_at_reference()
        self._look_at_motion()

    def show(self, draft: Draft) -> None:
        """Make a draft the present one; for undo commands and ``restore``."""
        before, self._draft = self._draft, draft
        if draft.reference != before.reference:
            self._set_facts(Facts(None, self._facts.motion))
            self._look_at_reference()
        if _motion_of(draft) != _motion_of(before):
            self._set_facts(Facts(self._facts.reference, None))
            self._look_at_motion()
        self.draft_changed.emit(draft)

    def _look_at_reference(self) -> None:
        path = self._draft.reference
        if path is None:
            self._background.forget("reference")
            return
        self._background.run(
            lambda: picture_facts(path),
            self._on_picture,
            lambda error: self._on_picture(_trouble(path, error)),
            latest="reference",
        )

    def _look_at_motion(self) -> None:
        path, keypoints, kind = _motion_of(self._draft)
        if path is None:
            self._background.forget("motion")
            return
        self._background.run(
            lambda: motion_facts(path, keypoints, kind),
            self._on_motion,
            lambda error: self._on_motion(_trouble(path, error)),
            latest="motion",
        )

    def _on_picture(self, facts: PictureFacts | Trouble) -> None:
        self._set_facts(Facts(facts, self._facts.motion))

    def _on_motion(self, facts: MotionFacts | Trouble) -> None:
        self._set_facts(Facts(self._facts.reference, facts))

    def _set_facts(self, facts: Facts) -> None:
        if facts != self._facts:
            self._facts = facts
            self.facts_changed.emit(facts)


class _Change(QUndoCommand):
    """From one draft to another."""

    def __init__(
        self, document: Document, before: Draft, after: Draft, text: str, merge: str, at_s: float
    ) -> None:
        super().__init__(text)
        self._document, self._before, self._after = document, before, after
        self._merge, self._at_s = merge, at_s

    def id(self) -> int:
        """Qt asks ``mergeWith`` for commands of the same number only."""
        return _MERGE_ID if self._merge else -1

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take a newer change of the same kind into this one."""
        if not isinstance(other, _Change) or other._merge != self._merge:
            return False
        if other._at_s - self._at_s > _SAME_CHANGE_S:
            return False
        self._after, self._at_s = other._after, other._at_s
        self.setObsolete(self._before == self._after)
        return True

    def redo(self) -> None:
        """Also what a first ``push`` does."""
        self._document.show(self._after)

    def undo(self) -> None:
        """Back to before."""
        self._document.show(self._before)


def _motion_of(draft: Draft) -> tuple[Path | None, Path | None, MotionKind]:
    return draft.motion, draft.keypoints, draft.motion_kind


def _trouble(path: Path, error: PirouetteError) -> Trouble:
    return Trouble(path, error.statement(), error.action)
