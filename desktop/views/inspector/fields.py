"""One setting in the inspector: its name, its control, what it costs, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from desktop.presenters.inspector import Inspector
from desktop.views.icons import icon
from desktop.views.inspector.controls import Combo, DoubleSpin, Spin, tool_button
from desktop.views.theme import NARROW, TIGHT, role

_RESET_SIDE = 14


@dataclass(frozen=True)
class Option:
    """An entry of a combo box: ``why_not`` it cannot be taken, ``missing`` what is not here."""

    value: object
    text: str
    why_not: str = ""
    missing: str = ""


def wrapped(name: str) -> QLabel:
    """An empty label of several lines that takes no room while it is empty."""
    label = role(QLabel(wordWrap=True), name)
    label.setVisible(False)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def say(label: QLabel, text: str) -> None:
    """Show a text, or hide the label."""
    label.setText(text)
    label.setVisible(bool(text))


class Field(QWidget):
    """A control with everything around it.

    Args:
        inspector: what it shows and changes.
        name: of the field in ``desktop.model.choices.FIELDS``.
        control: gets the focus; beside: further widgets in its row.
        cost: one line that says what the setting costs or buys.
        inline: the name stands left of the control instead of above it.
        resets: it can be set back to the preset or the model.
    """

    def __init__(
        self,
        inspector: Inspector,
        name: str,
        control: QWidget,
        beside: Sequence[QWidget] = (),
        cost: str = "",
        inline: bool = False,
        resets: bool = False,
    ) -> None:
        super().__init__()
        self.inspector, self.name, self.control = inspector, name, control
        self.label = QLabel(inspector.title(name))
        self.label.setBuddy(control)
        self.undo = self._reset_button()
        self.hint, self.problem = wrapped("small"), wrapped("problem")
        self._cost, self._resets, self._beside = cost, resets, tuple(beside)
        control.setAccessibleName(inspector.title(name))
        if cost and not control.toolTip():
            control.setToolTip(cost)
        self._lay_out(inline)
        say(self.hint, cost)

    def refresh(self) -> None:
        """Show the draft: a subclass shows the value, this what is around it."""
        why_not = self.inspector.why_not(self.name)
        for widget in (self.control, *self._beside):
            widget.setEnabled(not why_not)
        self.set_hint(why_not or self._cost)
        if self._resets:
            self._mark(self.inspector.value(self.name) is not None)
        self.show_problem()

    def set_hint(self, text: str) -> None:
        """The line under the control."""
        if text != self.hint.text():
            say(self.hint, text)

    def show_problem(self) -> None:
        """The red line, and the frame of the control."""
        text = self.inspector.problems.get(self.name, "")
        if text == self.problem.text():
            return
        say(self.problem, text)
        self.control.setProperty("problem", bool(text))
        self.control.setAccessibleDescription(text)
        self.control.style().unpolish(self.control)
        self.control.style().polish(self.control)

    def _mark(self, overridden: bool) -> None:
        """A changed setting has a bold name and a button that takes it back."""
        self.undo.setVisible(overridden)
        wanted = "heading" if overridden else ""
        if self.label.property("role") != wanted:
            role(self.label, wanted)
            self.label.style().unpolish(self.label)
            self.label.style().polish(self.label)

    def _reset_button(self) -> QToolButton:
        words = self.tr("Reset {field} to the preset").format(field=self.inspector.title(self.name))
        button = role(tool_button("undo", words, _RESET_SIDE), "mini")
        button.setVisible(False)
        button.clicked.connect(lambda: self.inspector.reset(self.name))
        return button

    def _lay_out(self, inline: bool) -> None:
        self.column = column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        top, row = QHBoxLayout(), QHBoxLayout()
        for each in (top, row):
            each.setSpacing(NARROW)
        top.addWidget(self.label)
        top.addWidget(self.undo)
        top.addStretch(1)
        column.addLayout(top)
        if inline:
            row = top
        else:
            column.addLayout(row)
        row.addWidget(self.control, 0 if inline else 1)
        for widget in self._beside:
            row.addWidget(widget)
        column.addWidget(self.hint)
        column.addWidget(self.problem)


class NumberField(Field):
    """A number of which the preset has one, too.

    Args:
        spin: its limits are wider than what is allowed, so that a wrong number is shown and told of.
    """

    def __init__(self, inspector: Inspector, name: str, spin: Spin | DoubleSpin, cost: str) -> None:
        super().__init__(inspector, name, spin, cost=cost, inline=True, resets=True)
        self.spin = spin
        spin.valueChanged.connect(lambda value: inspector.put(name, value))

    def refresh(self) -> None:
        """The override's number, else the preset's."""
        super().refresh()
        value = self.inspector.effective(self.name)
        if value is None:
            self.spin.setEnabled(False)
        elif value != self.spin.value():
            before = self.spin.blockSignals(True)
            self.spin.setValue(value)
            self.spin.blockSignals(before)


class OptionalNumberField(NumberField):
    """A number that may be left to what uses it.

    Args:
        spin: its lowest number stands for that, and lies below what is allowed.
    """

    def __init__(self, inspector: Inspector, name: str, spin: DoubleSpin, cost: str) -> None:
        super().__init__(inspector, name, spin, cost)
        self.numbers = spin
        spin.setSpecialValueText(self.tr("Automatic"))
        spin.valueChanged.disconnect()
        spin.valueChanged.connect(self._on_changed)

    def refresh(self) -> None:
        """The override's number, or "Automatic"."""
        Field.refresh(self)
        value = self.inspector.value(self.name)
        shown = self.numbers.minimum() if value is None else float(value)
        if shown != self.numbers.value():
            before = self.numbers.blockSignals(True)
            self.numbers.setValue(shown)
            self.numbers.blockSignals(before)

    def _on_changed(self, value: float) -> None:
        self.inspector.put(self.name, None if value == self.numbers.minimum() else value)


class ChoiceField(Field):
    """One of a few values.

    Args:
        options: what there is to choose from now.
        shown: which of them is the present one; by default the field's value.
        take: what a choice does; by default it changes the field.
    """

    def __init__(
        self,
        inspector: Inspector,
        name: str,
        options: Callable[[], Sequence[Option]],
        *,
        shown: Callable[[], Any] | None = None,
        take: Callable[[Any], None] | None = None,
        cost: str = "",
        resets: bool = False,
    ) -> None:
        self.combo = Combo()
        super().__init__(inspector, name, self.combo, cost=cost, resets=resets)
        self._options, self._shown, self._take = options, shown, take
        self._there: tuple[Option, ...] = ()
        self.combo.activated.connect(self._on_activated)

    def refresh(self) -> None:
        """The entries and the present one."""
        super().refresh()
        options = tuple(self._options())
        value = self._shown() if self._shown else self.inspector.value(self.name)
        if options != self._there:
            self._there = options
            _fill(self.combo, options)
        at = next((row for row, option in enumerate(options) if option.value == value), -1)
        if at != self.combo.currentIndex():
            self.combo.setCurrentIndex(at)

    def _on_activated(self, row: int) -> None:
        value = self._there[row].value
        if self._take is not None:
            self._take(value)
        else:
            self.inspector.put(self.name, value)


class Switch(QCheckBox):
    """A check box that gives way to a narrow panel."""

    def minimumSizeHint(self) -> QSize:
        """Its text may be cut; the tool tip has it."""
        return QSize(60, super().minimumSizeHint().height())


class SwitchField(QWidget):
    """A check box with a line under it."""

    def __init__(self, inspector: Inspector, name: str, text: str, cost: str = "", tip: str = "") -> None:
        super().__init__()
        self.inspector, self.name, self._cost = inspector, name, cost
        self.box = Switch(text)
        self.box.setToolTip(tip or cost or text)
        self.box.setAccessibleName(text)
        self.hint = wrapped("small")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addWidget(self.box)
        column.addWidget(self.hint)
        self.box.clicked.connect(lambda on: inspector.put(name, on))

    def refresh(self) -> None:
        """The draft's value."""
        why_not = self.inspector.why_not(self.name)
        self.box.setEnabled(not why_not)
        self.box.setChecked(bool(self.inspector.value(self.name)))
        say(self.hint, why_not or self._cost)


def _fill(combo: Combo, options: Sequence[Option]) -> None:
    combo.clear()
    combo.addItems([option.text for option in options])
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    for row, option in enumerate(options):
        model.item(row).setEnabled(not option.why_not)
        model.item(row).setToolTip(option.why_not or option.missing or option.text)
        if option.missing:
            combo.setItemIcon(row, icon("download"))
            named = f"{option.text}, {option.missing}"
            combo.setItemData(row, named, Qt.ItemDataRole.AccessibleTextRole)
