"""Keys without Ctrl that the whole window hears, kept from controls that need them themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import shiboken6
from PySide6.QtCore import QEvent, QKeyCombination, QObject, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QWidget,
)

_KEY = Qt.Key
_ARROWS: Final = frozenset((_KEY.Key_Left, _KEY.Key_Right))
_ENDS: Final = frozenset((_KEY.Key_Home, _KEY.Key_End))
# Take letters, too: they are typed into, or searched by typing.
_TAKE_ALL: Final = (
    QLineEdit,
    QTextEdit,
    QPlainTextEdit,
    QAbstractSpinBox,
    QComboBox,
    QAbstractItemView,
    QMenu,
    QMenuBar,
)


def needs(widget: QWidget, key: int) -> bool:
    """Does this control do something of its own with the key?"""
    if isinstance(widget, _TAKE_ALL):
        return True
    if isinstance(widget, QAbstractSlider | QTabBar):
        return key in _ARROWS | _ENDS
    if isinstance(widget, QAbstractButton):
        grouped = widget.group() is not None or widget.autoExclusive()
        return key == _KEY.Key_Space or (grouped and key in _ARROWS)
    return isinstance(widget, QAbstractScrollArea) and key in _ARROWS


class KeyGuard(QObject):
    """While a control has the focus, its own keys reach it instead of the window's actions.

    Qt asks the focused widget first (``ShortcutOverride``), but most controls say yes only to what is typed:
    a button would lose Space, a list its arrows.

    Args:
        actions: whose shortcuts are kept from controls.
        parent: of the window that is guarded.
    """

    def __init__(self, actions: Iterable[QAction], parent: QWidget) -> None:
        super().__init__(parent)
        self._owner = parent
        self._keys = {combined for action in actions for combined in _combinations(action.shortcuts())}
        self._watched: QWidget | None = None
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._on_focus)
        self._on_focus(None, app.focusWidget())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Answers for the focused control whether a key is its own."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            combined = event.keyCombination().toCombined()
            if combined in self._keys and isinstance(watched, QWidget) and needs(watched, event.key()):
                event.accept()
                return True
        return super().eventFilter(watched, event)

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        # Only the one focused widget is watched: a filter on the application would see every event.
        # One that is being destroyed loses the focus first, when it cannot be spoken to any more.
        if self._watched is not None and shiboken6.isValid(self._watched):
            self._watched.removeEventFilter(self)
        self._watched = new
        if new is not None:
            new.installEventFilter(self)


def _combinations(sequences: Iterable[QKeySequence]) -> Iterable[int]:
    for sequence in sequences:
        if sequence.count() == 1:
            combination: QKeyCombination = sequence[0]  # type: ignore[index]
            yield combination.toCombined()
