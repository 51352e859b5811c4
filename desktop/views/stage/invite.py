"""What an empty stage says: which two files are needed, and how to choose them."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.views.icons import icon
from desktop.views.theme import ICON, NARROW, SPACE, WIDE, restyle, role, tokens_of

_BUTTON: Final = 38


class Invite(QFrame):
    """Large in the middle of an empty stage, one line at the foot of a stage that lacks one of the two.

    Signals:
        picture_asked, motion_asked: a file is to be chosen.
    """

    picture_asked = Signal()
    motion_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._art = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._title = role(QLabel(alignment=Qt.AlignmentFlag.AlignCenter), "stage-title")
        self._text = role(QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True), "caption")
        self.picture = QPushButton(self.tr("Choose picture…"))
        self.motion = QPushButton(self.tr("Choose motion…"))
        self.picture.setToolTip(self.tr("A photo or drawing of one person, seen whole if possible"))
        self.motion.setToolTip(self.tr("A video of somebody moving, or a file of poses"))
        self.picture.clicked.connect(self.picture_asked)
        self.motion.clicked.connect(self.motion_asked)
        self._lay_out()

    def show_for(self, no_picture: bool, no_motion: bool, empty: bool) -> None:
        """Ask for what is missing."""
        self._art.setVisible(empty)
        self._title.setVisible(empty)
        self.picture.setVisible(no_picture)
        self.motion.setVisible(no_motion)
        if empty:
            self._art.setPixmap(icon("person", tokens_of(self).stage_quiet).pixmap(QSize(56, 56)))
            self._title.setText(self.tr("Make a picture dance"))
            self._text.setText(
                self.tr("Drop a photo of a person and a dance clip anywhere, or take them from the library.")
            )
        elif no_motion:
            self._text.setText(self.tr("Now the motion: drop a clip or a pose file here."))
        else:
            self._text.setText(self.tr("Now the picture: drop a photo of a person here."))
        for button, wanted in ((self.picture, no_picture), (self.motion, no_motion and not no_picture)):
            restyle(button, "primary" if wanted else "")
            colour = tokens_of(self).accent_text if wanted else None
            button.setIcon(icon("image" if button is self.picture else "film", colour))
        self._rows.setDirection(
            QVBoxLayout.Direction.TopToBottom if empty else QVBoxLayout.Direction.LeftToRight
        )
        self._text.setWordWrap(empty)
        self.setVisible(no_picture or no_motion)
        self.adjustSize()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        buttons.addStretch()
        for button in (self.picture, self.motion):
            button.setIconSize(QSize(ICON, ICON))
            button.setFixedHeight(_BUTTON)
            buttons.addWidget(button)
        buttons.addStretch()
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(WIDE, NARROW, WIDE, NARROW)
        self._rows.setSpacing(SPACE)
        for label in (self._art, self._title, self._text):
            self._rows.addWidget(label)
        self._rows.addLayout(buttons)
