"""The pose check: will this motion fit this picture, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop.model.facts import Trouble
from desktop.model.fitted import Busy
from desktop.presenters.document import Document
from desktop.presenters.pose import Pose
from desktop.presenters.pose_check import PoseCheck
from desktop.presenters.pose_pictures import PosePictures
from desktop.views.icons import icon
from desktop.views.pose.adjust_panel import AdjustPanel
from desktop.views.pose.frame_bar import FrameBar
from desktop.views.pose.frame_view import FrameView
from desktop.views.pose.person_picker import PersonPicker
from desktop.views.pose.pose_canvas import PoseCanvas
from desktop.views.pose.score_card import ScoreCard
from desktop.views.theme import NARROW, SPACE, WIDE, role

_SIDE = 344
_START = QSize(1060, 680)
_THOUSAND = 1000


class PoseCheckDialog(QDialog):
    """Looks at the poses of the draft, corrects them, and hands all of it back as one step of undo.

    Args:
        pose: finds poses; the draft that is tried here is shown wherever its poses are.
        document: takes the draft when the dialog is accepted.
    """

    def __init__(self, pose: Pose, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Pose check"))
        self.check = PoseCheck(pose, document, PosePictures(), self)
        self.canvas = PoseCanvas(self.check)
        self.frame_view = FrameView(self.check)
        self.frames = FrameBar(self.check)
        self.score = ScoreCard()
        self.adjust = AdjustPanel(self.check)
        self.people = PersonPicker(self.tr("Dancer"))
        self.reference_people = PersonPicker(self.tr("Person in the reference"))
        self.message = QLabel()
        self.advice = QLabel()
        self.retry = QPushButton(icon("retry"), self.tr("Try again"))
        self.let_choose = QPushButton(self.tr("Choose persons and frame automatically"))
        self.let_choose.setToolTip(self.tr("Take nobody and no frame that was named by hand"))
        self.retry.setToolTip(self.tr("Look at the files once more"))
        self.progress = QProgressBar(maximum=_THOUSAND, textVisible=False)
        self.status = role(QLabel(), "small")
        self.notes = role(QLabel(), "small")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.use = self.buttons.addButton(self.tr("Use these poses"), QDialogButtonBox.ButtonRole.AcceptRole)
        self._pages = QStackedLayout()
        self._build()
        self._connect()
        self.resize(_START)
        self._show()
        self._show_busy(self.check.busy)
        self.canvas.setFocus()

    def done(self, result: int) -> None:
        """However the dialog ends."""
        if result == QDialog.DialogCode.Accepted:
            self.check.accept()
        else:
            self.check.reject()
        self.check.close()
        super().done(result)

    def _show(self) -> None:
        """Everything but the pictures, which show themselves."""
        check, fitted = self.check, self.check.fitted
        self.score.show_pose(fitted)
        self._pages.setCurrentIndex(1 if check.trouble is not None else 0)
        if check.trouble is not None:
            self._show_trouble(check.trouble)
        self._show_people()
        notes = () if fitted is None else fitted.facts.notes
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))
        self.use.setEnabled(fitted is not None and fitted.complete)
        self.use.setToolTip(
            "" if self.use.isEnabled() else self.tr("There are no poses yet that could be used.")
        )

    def _show_trouble(self, trouble: Trouble) -> None:
        self.message.setText(trouble.message)
        self.advice.setText(trouble.action)
        self.let_choose.setVisible(self.check.can_be_chosen)

    def _show_people(self) -> None:
        check = self.check
        pose = check.draft.pose
        self.people.show_people(check.people, pose.person or 0, check.faces.get)
        self.reference_people.show_people(
            check.reference_people, pose.reference_person or 0, lambda _number: check.reference
        )

    def _show_busy(self, busy: Busy | None) -> None:
        self.progress.setVisible(busy is not None and busy.stage != "waiting")
        self.progress.setRange(0, 0 if busy is not None and busy.fraction is None else _THOUSAND)
        if busy is not None and busy.fraction is not None:
            self.progress.setValue(round(busy.fraction * _THOUSAND))
        words = {
            "starting": self.tr("Looking for people…"),
            "looking": self.tr("Looking for people…"),
            "fitting": self.tr("Fitting the motion to the reference…"),
            "waiting": self.tr("Waits until the render that is running is done."),
        }
        text = "" if busy is None else words[busy.stage]
        if busy is not None and busy.fraction is not None:
            text = self.tr("{what} {share}").format(what=text, share=f"{busy.fraction:.0%}")
        self.status.setText(text)

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addLayout(self._left(), 1)
        middle.addWidget(self._right())
        outer.addLayout(middle, 1)
        outer.addWidget(role(QFrame(), "separator"))
        outer.addLayout(self._foot())

    def _left(self) -> QVBoxLayout:
        views = QWidget()
        pair = QHBoxLayout(views)
        pair.setContentsMargins(0, 0, 0, 0)
        pair.setSpacing(0)
        pair.addLayout(
            self._captioned(
                self.canvas, self.tr("Reference: its own pose in white, the motion's in colours")
            ),
            3,
        )
        pair.addLayout(self._captioned(self.frame_view, self.tr("Motion")), 2)
        stage = role(QFrame(), "stage")
        self._pages.addWidget(views)
        self._pages.addWidget(self._trouble_page())
        stage.setLayout(self._pages)
        bar = QWidget()
        inside = QVBoxLayout(bar)
        inside.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        inside.addWidget(self.frames)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(stage, 1)
        column.addWidget(bar)
        return column

    def _captioned(self, view: QWidget, text: str) -> QVBoxLayout:
        caption = role(QLabel(text), "caption")
        caption.setMinimumWidth(1)
        caption.setContentsMargins(WIDE, SPACE, SPACE, 0)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(caption)
        column.addWidget(view, 1)
        return column

    def _trouble_page(self) -> QWidget:
        card = role(QFrame(), "card")
        card.setMaximumWidth(460)
        sign = QLabel()
        sign.setPixmap(icon("warning").pixmap(QSize(32, 32)))
        role(self.message, "heading")
        role(self.advice, "quiet")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(WIDE, WIDE, WIDE, WIDE)
        inside.setSpacing(SPACE)
        inside.addWidget(sign)
        for label in (self.message, self.advice):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            inside.addWidget(label)
        ways = QHBoxLayout()
        ways.setSpacing(NARROW)
        ways.addWidget(self.let_choose)
        ways.addWidget(self.retry)
        ways.addStretch()
        inside.addLayout(ways)
        page = QWidget()
        around = QHBoxLayout(page)
        around.addStretch()
        around.addWidget(card, 1, Qt.AlignmentFlag.AlignVCenter)
        around.addStretch()
        return page

    def _right(self) -> QScrollArea:
        panel = role(QWidget(), "panel")
        column = QVBoxLayout(panel)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        column.setSpacing(WIDE)
        self.notes.setWordWrap(True)
        for widget in (self.score, self.people, self.reference_people, self.adjust, self.notes):
            column.addWidget(widget)
        column.addStretch()
        area = QScrollArea()
        area.setWidget(panel)
        area.setWidgetResizable(True)
        area.setFixedWidth(_SIDE)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return area

    def _foot(self) -> QHBoxLayout:
        role(self.use, "primary")
        self.use.setDefault(True)
        self.progress.setFixedWidth(140)
        foot = QHBoxLayout()
        foot.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        foot.setSpacing(NARROW)
        foot.addWidget(self.progress)
        foot.addWidget(self.status, 1)
        foot.addWidget(self.buttons)
        return foot

    def _connect(self) -> None:
        check = self.check
        check.changed.connect(self._show)
        check.pictures_changed.connect(self._show_people)
        check.busy_changed.connect(self._show_busy)
        self.people.chosen.connect(check.choose_person)
        self.reference_people.chosen.connect(check.choose_reference_person)
        self.retry.clicked.connect(check.retry)
        self.let_choose.clicked.connect(check.let_choose)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
