"""A row of people to choose from, each cut out of the picture that shows them best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from desktop.views.icons import icon
from desktop.views.theme import NARROW, TIGHT, role, tokens_of

_SIDE: Final = 64
_A_ROW: Final = 4
# Of the box's size, around it.
_AROUND: Final = 0.2


class Choice(Protocol):
    """Somebody: their number, and box as fractions of the picture."""

    @property
    def number(self) -> int: ...

    @property
    def box(self) -> tuple[float, float, float, float]: ...

    @property
    def seen(self) -> float: ...


class PersonPicker(QWidget):
    """Hidden where there is nobody to choose between.

    Signals:
        chosen: the number of a person, by the user.
    """

    chosen = Signal(int)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._people: tuple[Choice, ...] = ()
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self.chosen)
        self._row = QGridLayout()
        self._row.setSpacing(TIGHT)
        self._row.setAlignment(Qt.AlignmentFlag.AlignLeft)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NARROW)
        column.addWidget(role(QLabel(title), "heading"))
        column.addLayout(self._row)
        self.hide()

    def show_people(
        self, people: Sequence[Choice], number: int, picture: Callable[[int], QImage | None]
    ) -> None:
        """Whom one can choose, who is chosen, and the picture that each stands in."""
        if tuple(people) != self._people:
            self._people = tuple(people)
            self._rebuild()
        self.setVisible(len(people) > 1)
        for person in people:
            button = self._group.button(person.number)
            image = picture(person.number)
            if image is not None:
                button.setIcon(QIcon(self._portrait(image, person.box)))
            button.setChecked(person.number == number)

    def button(self, number: int) -> QToolButton:
        """Of one person."""
        button = self._group.button(number)
        assert isinstance(button, QToolButton)
        return button

    def _rebuild(self) -> None:
        for button in self._group.buttons():
            self._group.removeButton(button)
            self._row.removeWidget(button)
            button.setParent(None)
            button.deleteLater()
        for person in self._people:
            button = QToolButton()
            button.setCheckable(True)
            button.setAutoRaise(True)
            button.setIcon(icon("person"))
            button.setIconSize(QSize(_SIDE, _SIDE))
            button.setText(self.tr("Person {number}").format(number=person.number + 1))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            tip = self.tr("Person {number}, seen in {share} of the frames")
            button.setToolTip(tip.format(number=person.number + 1, share=f"{person.seen:.0%}"))
            button.setAccessibleName(button.toolTip())
            self._group.addButton(button, person.number)
            self._row.addWidget(button, *divmod(person.number, _A_ROW))

    def _portrait(self, image: QImage, box: tuple[float, float, float, float]) -> QPixmap:
        """A square about somebody's box, which is drawn."""
        ratio = self.devicePixelRatioF()
        left, top, right, bottom = (
            side * length for side, length in zip(box, (image.width(), image.height()) * 2, strict=True)
        )
        wanted = max(8, round(max(right - left, bottom - top) * (1 + _AROUND)))
        side = min(wanted, image.width(), image.height())
        x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
        x, y = min(max(x, 0), image.width() - side), min(max(y, 0), image.height() - side)
        area = QRect(x, y, side, side)
        small = image.copy(area).scaledToHeight(
            round(_SIDE * ratio), Qt.TransformationMode.SmoothTransformation
        )
        pixmap = QPixmap.fromImage(small)
        painter = QPainter(pixmap)
        painter.setPen(QPen(QColor(tokens_of(self).accent), 2 * ratio))
        factor = pixmap.width() / side
        painter.drawRect(
            round((left - area.left()) * factor),
            round((top - area.top()) * factor),
            round((right - left) * factor),
            round((bottom - top) * factor),
        )
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        return pixmap
