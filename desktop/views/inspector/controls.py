"""Controls of a panel that scrolls: the wheel changes them only with the focus, undo goes to the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import (
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QRegularExpressionValidator,
    QValidator,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QButtonGroup,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QWidget,
)

from desktop.views.icons import icon
from desktop.views.theme import ICON, TIGHT, role

if TYPE_CHECKING:
    _Base = QWidget
else:
    _Base = object
_LARGEST_SEED: Final = 2**63 - 1
_CONTENTS: Final = 6
# Room for a number of four digits and the arrows, in pixels.
_NUMBER: Final = 76


def push_button(text: str, tip: str, icon_name: str = "") -> QPushButton:
    """A button with a text; the tip says what it does."""
    button = QPushButton(text)
    if icon_name:
        button.setIcon(icon(icon_name))
    button.setToolTip(tip)
    button.setAccessibleName(text)
    return button


def tool_button(icon_name: str, tip: str, side: int = ICON, checkable: bool = False) -> QToolButton:
    """A button with an icon alone, so the tip is its name, too."""
    button = QToolButton()
    if icon_name:
        button.setIcon(icon(icon_name))
    button.setIconSize(QSize(side, side))
    button.setCheckable(checkable)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    return button


class Calm(_Base):
    """Mixed into a control: leaves the wheel to the panel without focus, and undo and redo to the window."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolling past a control must not change it."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        """Steps of undo are those of the document, not of a text."""
        if event.type() == QEvent.Type.ShortcutOverride and _is_undo(event):
            event.ignore()
            return False
        return bool(super().event(event))


class Combo(Calm, QComboBox):
    """A combo box that gets narrow; its list does not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(_CONTENTS)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A long entry ends in dots; Qt would cut it."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter = QStylePainter(self)
        complex_control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(complex_control, option, part, self).width()
        room -= 0 if option.currentIcon.isNull() else option.iconSize.width() + TIGHT
        right = Qt.TextElideMode.ElideRight
        option.currentText = self.fontMetrics().elidedText(option.currentText, right, room)
        painter.drawComplexControl(complex_control, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:
        """As wide as the longest entry."""
        margin = 2 * self.iconSize().width()
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + margin)
        super().showPopup()


class Spin(Calm, QSpinBox):
    """Whole numbers; what is typed counts when it is finished."""

    def __init__(self, lowest: int, highest: int, step: int = 1, parent: QWidget | None = None) -> None:
        super().__init__(parent, minimum=lowest, maximum=highest, singleStep=step)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(_NUMBER)
        self.lineEdit().setTextMargins(TIGHT, 0, 0, 0)


class DoubleSpin(Calm, QDoubleSpinBox):
    """Numbers with a fraction; what is typed counts when it is finished."""

    def __init__(self, lowest: float, highest: float, step: float, parent: QWidget | None = None) -> None:
        super().__init__(parent, minimum=lowest, maximum=highest, singleStep=step)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(_NUMBER)
        self.lineEdit().setTextMargins(TIGHT, 0, 0, 0)


class Slider(Calm, QSlider):
    """Horizontal, 0 to 100."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, 100)
        self.setSingleStep(5)
        self.setPageStep(25)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class SeedBox(Calm, QAbstractSpinBox):
    """A whole number from 0 to 2^63 - 1, which Qt's own spin box cannot hold.

    Signals:
        value_changed: the new number.
    """

    value_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._value = 0
        self._digits = QRegularExpressionValidator(r"\d{1,19}", self)
        self.lineEdit().setText("0")
        self.lineEdit().setTextMargins(TIGHT, 0, 0, 0)
        self.editingFinished.connect(self._take)

    @property
    def value(self) -> int:
        """As it was shown or entered last."""
        return self._value

    def set_value(self, value: int) -> None:
        """Show a number; nobody is told."""
        if value != self._value:
            self._value = value
            self.lineEdit().setText(str(value))

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Digits only."""
        if not text:
            return QValidator.State.Intermediate, text, position
        state, _, _ = cast("tuple[QValidator.State, str, int]", self._digits.validate(text, position))
        return state, text, position

    def stepBy(self, steps: int) -> None:
        """The arrows and the wheel."""
        self._enter(self._value + steps)

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Which arrow does something."""
        flags = QAbstractSpinBox.StepEnabledFlag
        found = flags.StepNone
        if self._value > 0:
            found |= flags.StepDownEnabled
        if self._value < _LARGEST_SEED:
            found |= flags.StepUpEnabled
        return found

    def _take(self) -> None:
        text = self.lineEdit().text()
        self._enter(int(text) if text else self._value)

    def _enter(self, value: int) -> None:
        value = min(max(value, 0), _LARGEST_SEED)
        changed = value != self._value
        self._value = value
        self.lineEdit().setText(str(value))
        if changed:
            self.value_changed.emit(value)


class TextBox(Calm, QPlainTextEdit):
    """A few lines of plain text; Tab leaves it."""

    def __init__(self, lines: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = lines
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """So many lines."""
        margins = 2 * (self.document().documentMargin() + self.frameWidth() + TIGHT)
        return QSize(100, round(self._lines * self.fontMetrics().lineSpacing() + margins))

    def minimumSizeHint(self) -> QSize:
        """As narrow as the panel."""
        return QSize(60, self.sizeHint().height())

    def show_text(self, text: str) -> None:
        """Show a text and keep the cursor; nobody is told."""
        if text == self.toPlainText():
            return
        at = self.textCursor().position()
        before = self.blockSignals(True)
        self.setPlainText(text)
        self.blockSignals(before)
        cursor = self.textCursor()
        cursor.setPosition(min(at, len(text)))
        self.setTextCursor(cursor)


class Segments(QWidget):
    """A few choices side by side, one of them taken; arrows go from one to the next.

    Signals:
        chosen: name of the choice that the user took.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(TIGHT // 2)

    def add(self, name: str, text: str, tip: str) -> QPushButton:
        """One more choice at the end."""
        button = role(push_button(text, tip), "segment")
        button.setCheckable(True)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setMinimumWidth(1)
        button.clicked.connect(lambda: self.chosen.emit(name))
        self._group.addButton(button)
        self._buttons[name] = button
        self._row.addWidget(button)
        if len(self._buttons) == 1:
            self.setFocusProxy(button)
        return button

    def button(self, name: str) -> QPushButton:
        """The button of a choice."""
        return self._buttons[name]

    def take(self, name: str) -> None:
        """Show a choice as taken; none where it is unknown."""
        button = self._buttons.get(name)
        if button is None:
            self._group.setExclusive(False)
            for other in self._buttons.values():
                other.setChecked(False)
            self._group.setExclusive(True)
        else:
            button.setChecked(True)


def _is_undo(event: QEvent) -> bool:
    keys = QKeySequence.StandardKey
    return isinstance(event, QKeyEvent) and (event.matches(keys.Undo) or event.matches(keys.Redo))
