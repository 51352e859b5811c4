"""A frame of the motion with the pose that was found in it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.presenters.pose_check import PoseCheck
from desktop.views.pose.framing import drawing_of, fitting
from desktop.views.theme import WIDE, tokens_of


class FrameView(QWidget):
    """Shows what the motion does at the frame that is looked at; joints alone where there is no clip."""

    def __init__(self, check: PoseCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._check = check
        self.setMinimumSize(QSize(120, 160))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Frame of the motion"))
        for signal in (check.changed, check.moved, check.pictures_changed):
            signal.connect(self.update)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        tokens = tokens_of(self)
        painter.fillRect(self.rect(), QColor(tokens.stage))
        fitted, image = self._check.fitted, self._check.driving
        if fitted is None:
            return
        facts = fitted.facts
        room = QRectF(self.rect()).adjusted(WIDE / 2, WIDE, -WIDE, -WIDE)
        picture = fitting(room, facts.motion_width / facts.motion_height)
        if not self._check.has_clip:
            painter.fillRect(picture, QColor(tokens.stage_raised))
        elif image is not None:
            painter.drawImage(picture, image)
        size = drawing_of(picture.size(), self.devicePixelRatioF())
        painter.drawImage(picture, fitted.draw_found(self._check.frame, size.width(), size.height()))
        painter.setPen(Qt.PenStyle.NoPen)
