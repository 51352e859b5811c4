"""Checking and correcting poses before a render: a draft to try out, which the document takes or not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QRectF, QTimer, Signal
from PySide6.QtGui import QImage

from core.types import FPS, PoseEdit, Trim
from desktop.model.draft import Draft, changed, selection_of
from desktop.model.facts import Trouble
from desktop.model.fitted import Busy, ByHand, Point, taken_apart
from desktop.presenters.document import Document
from desktop.presenters.fitted_pose import FittedPose
from desktop.presenters.pose import Pose
from desktop.presenters.pose_pictures import PosePictures

if TYPE_CHECKING:
    from core.pose.answer import Person

# After the last of several small moves the helper is asked for the score.
CONFIRM_MS: Final = 250
_FRAME_SIDE: Final = 900
_FACE_SIDE: Final = 480
_MIRROR: Final = "mirror"
_SLACK: Final = 1e-3


class PoseCheck(QObject):
    """What the dialog shows and does.

    Args:
        pose: finds the poses of the draft that is tried.
        document: takes it in the end.
        pictures: reads pictures; belongs to this object from now on.

    Signals:
        changed: poses, people, score, trouble or settings are others.
        moved: the skeleton was moved by hand, or another frame is shown.
        pictures_changed: the reference, the frame beside it or somebody's picture is there.
        busy_changed: ``Busy`` or None.
    """

    changed = Signal()
    moved = Signal()
    pictures_changed = Signal()
    busy_changed = Signal(object)

    def __init__(
        self, pose: Pose, document: Document, pictures: PosePictures, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._pose, self._document, self._pictures = pose, document, pictures
        self.draft: Draft = document.draft
        self.frame = 0
        self.reference: QImage | None = None
        self.driving: QImage | None = None
        self.people: tuple[Person, ...] = ()
        self.reference_people: tuple[Person, ...] = ()
        self.faces: dict[int, QImage] = {}
        self._rest: tuple[PoseEdit, ...] = ()
        self.hand = ByHand()
        self.pivot: Point = (0.5, 0.5)
        self._before: tuple[tuple[PoseEdit, ...], ByHand] | None = None
        self._confirm = QTimer(self, singleShot=True, interval=CONFIRM_MS)
        self._confirm.timeout.connect(self.confirm)
        pose.changed.connect(self._on_pose)
        pose.busy_changed.connect(self.busy_changed)
        self._read_reference()
        self._on_pose()

    @property
    def fitted(self) -> FittedPose | None:
        """The poses of the draft as far as they are known."""
        return self._pose.fitted

    @property
    def trouble(self) -> Trouble | None:
        """Why there are none."""
        return self._pose.trouble

    @property
    def busy(self) -> Busy | None:
        """What is going on."""
        return self._pose.busy

    @property
    def edits(self) -> tuple[PoseEdit, ...]:
        """All edits, with what is moved by hand at this moment."""
        if (self._rest, self.hand) == self._before:
            return self._document.draft.pose_edits  # letter by letter, so that nothing done is no change
        return (*self._rest, *self.hand.edits(self.pivot))

    @property
    def mirrored(self) -> bool:
        """Are left and right exchanged?"""
        return sum(edit.kind == _MIRROR for edit in self._rest) % 2 == 1

    @property
    def has_clip(self) -> bool:
        """Is there a picture of the motion, not joints alone?"""
        clip = self._document.facts.clip
        return clip is not None and clip.clip is not None

    @property
    def can_be_chosen(self) -> bool:
        """Is a person or a frame named that could be chosen automatically?"""
        pose = self.draft.pose
        return any(one is not None for one in (pose.person, pose.reference_person, pose.align_frame_s))

    @property
    def can_start_at_best(self) -> bool:
        """Is there a frame that suits the reference better than the first?"""
        fitted = self.fitted
        best = None if fitted is None else fitted.facts.best_frame_s
        return fitted is not None and best is not None and best - fitted.start_s > _SLACK

    @property
    def aligned_here(self) -> bool:
        """Is the frame that is shown the one that proportions are measured on?"""
        fitted = self.fitted
        if fitted is None or fitted.align_frame_s is None:
            return False
        return fitted.frame_at(fitted.align_frame_s) == self.frame

    def overlay(self, width: int, height: int) -> QImage | None:
        """The motion's skeleton at the frame that is shown, as it would be with the present edits."""
        fitted = self.fitted
        return None if fitted is None else fitted.draw_edited(self.frame, self.edits, width, height)

    def box(self) -> QRectF:
        """Where that skeleton lies, in fractions of the canvas; empty where there is none."""
        return QRectF() if self.fitted is None else self.fitted.box(self.frame, self.edits)

    def set_frame(self, frame: int) -> None:
        """Show another frame."""
        last = 0 if self.fitted is None else self.fitted.frames - 1
        frame = min(max(frame, 0), last)
        if frame != self.frame:
            self.frame = frame
            self._read_frame()
            self.moved.emit()

    def set_hand(self, hand: ByHand, confirm: bool = True) -> None:
        """Move the skeleton; the score follows after a pause, or with ``confirm`` at the end of a drag."""
        if hand == self.hand:
            return
        self.hand = hand
        if confirm:
            self._confirm.start()
        self.moved.emit()

    def scale_about(self, start: ByHand, factor: float, about: Point) -> None:
        """Larger than ``start`` by a factor about a point in fractions of the canvas, for a drag."""
        ratio = 1.0 if self.fitted is None else self.fitted.ratio
        centre = ((about[0] - self.pivot[0]) * ratio, about[1] - self.pivot[1])
        self.set_hand(start.scaled(factor, centre), confirm=False)

    def scale_by(self, factor: float) -> None:
        """Larger about the neck, wherever it was moved to."""
        self.set_hand(self.hand.scaled(factor, (self.hand.x, self.hand.y)))

    def confirm(self) -> None:
        """Ask the helper about the draft as it is now."""
        self._confirm.stop()
        self.draft = self._proposed()
        self._pose.set_trial(self.draft)
        self.changed.emit()

    def reset(self) -> None:
        """Take back everything that was moved by hand."""
        self.set_hand(ByHand(), confirm=False)
        self.confirm()

    def set_mirrored(self, on: bool) -> None:
        """Exchange left and right of the motion."""
        if on != self.mirrored:
            without = tuple(edit for edit in self._rest if edit.kind != _MIRROR)
            self._rest = (PoseEdit(_MIRROR), *without) if on else without
            self.confirm()

    def align_on(self, frame: int | None) -> None:
        """Measure proportions on a frame; None lets it be chosen."""
        time_s = None if frame is None or self.fitted is None else self.fitted.time_of(frame)
        self._settle(align_frame_s=time_s)

    def choose_person(self, number: int) -> None:
        """Take somebody else of the motion."""
        self._settle(person=number or None)

    def choose_reference_person(self, number: int) -> None:
        """Fit to somebody else of the reference."""
        self._settle(reference_person=number or None)

    def let_choose(self) -> None:
        """Name neither persons nor a frame: the way out where those that were named are not there."""
        self._settle(person=None, reference_person=None, align_frame_s=None)

    def start_at_best(self) -> None:
        """Let the motion begin with the pose that is most like the reference's."""
        fitted, clip = self.fitted, self._document.facts.clip
        best_s = None if fitted is None else fitted.facts.best_frame_s
        if best_s is None or clip is None:
            return
        _, end_s = selection_of(self.draft, clip.duration_s)
        left = max(1, int((end_s - best_s) * FPS + _SLACK))
        frames = self.draft.frames
        shorter = None if frames is None else min(frames, (left - 1) // 4 * 4 + 1)
        align_s = self.draft.pose.align_frame_s
        kept_s = None if align_s is not None and align_s < best_s else align_s
        pose = replace(self.draft.pose, align_frame_s=kept_s)
        trim = Trim(best_s, self.draft.trim.end_s)
        self.frame = 0
        self._try(changed(self.draft, trim=trim, frames=shorter, pose=pose))

    def retry(self) -> None:
        """Look once more."""
        self._pose.retry()

    def accept(self) -> None:
        """One step of undo for all of it."""
        self._confirm.stop()
        self._document.set_draft(self.tr("Pose check"), self._proposed())
        self._pose.set_trial(None)

    def reject(self) -> None:
        """As if nothing had been."""
        self._confirm.stop()
        self._pose.set_trial(None)

    def close(self) -> None:
        """Let go of pictures and signals."""
        self._confirm.stop()
        self._pose.changed.disconnect(self._on_pose)
        self._pose.busy_changed.disconnect(self.busy_changed)
        self._pictures.close()

    def _proposed(self) -> Draft:
        return self.draft if self._before is None else replace(self.draft, pose_edits=self.edits)

    def _settle(self, **settings: object) -> None:
        self._try(replace(self.draft, pose=replace(self.draft.pose, **settings)))  # type: ignore[arg-type]

    def _try(self, draft: Draft) -> None:
        self.draft = draft
        self.confirm()

    def _on_pose(self) -> None:
        fitted = self.fitted
        if fitted is not None:
            self._take_apart(fitted)
            self.reference_people = fitted.facts.reference_people
            if fitted.complete:
                self._take_people(fitted.people)
            self.frame = min(self.frame, fitted.frames - 1)
            self._read_frame()
        self.changed.emit()

    def _take_apart(self, fitted: FittedPose) -> None:
        """What the draft's edits mean by hand, once it is known what they are about."""
        if self._before is None:
            edits = self.draft.pose_edits
            self._rest, self.hand, self.pivot = taken_apart(edits, fitted.pivot, fitted.ratio)
            self._before = (self._rest, self.hand)

    def _take_people(self, people: tuple[Person, ...]) -> None:
        if people == self.people:
            return
        self.people, self.faces = people, {}
        clip = self._document.facts.clip
        if len(people) < 2 or clip is None or clip.clip is None:
            return
        for person in people:
            told = partial(self._on_face, person.number)
            self._pictures.frame(clip.clip, person.time_s, _FACE_SIDE, told)

    def _read_reference(self) -> None:
        if self.draft.reference is not None:
            self._pictures.reference(self.draft.reference, self._on_reference)

    def _read_frame(self) -> None:
        clip, fitted = self._document.facts.clip, self.fitted
        if clip is not None and clip.clip is not None and fitted is not None:
            time_s = fitted.time_of(self.frame)
            self._pictures.frame(clip.clip, time_s, _FRAME_SIDE, self._on_driving, latest="driving")

    def _on_reference(self, image: QImage) -> None:
        self.reference = image
        self.pictures_changed.emit()

    def _on_driving(self, image: QImage) -> None:
        self.driving = image
        self.pictures_changed.emit()

    def _on_face(self, number: int, image: QImage) -> None:
        self.faces[number] = image
        self.pictures_changed.emit()
