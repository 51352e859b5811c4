"""Fitted poses that can be drawn at any size, on any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage

from core.types import FPS, PoseEdit

if TYPE_CHECKING:
    from core.pose.align import PoseReport
    from core.pose.answer import Person, PoseAnswer, PoseFacts
    from core.pose.skeleton import PoseFrame

# Lines have the same width in pixels at every size: smaller drawings are made large and scaled down.
_SMALLEST_SIDE: Final = 384


@dataclass(frozen=True, eq=False)
class FittedPose:
    """The poses that a render will draw, as the helper process found them.

    Attributes:
        answer: all that was told.
    """

    answer: PoseAnswer

    @property
    def facts(self) -> PoseFacts:
        """Figures, times and people."""
        return self.answer.facts

    @property
    def start_s(self) -> float:
        """Time in the motion of the first frame."""
        return self.facts.start_s

    @property
    def frames(self) -> int:
        """Frames, 16 a second."""
        return self.facts.frames

    @property
    def complete(self) -> bool:
        """False where only the first frame is known so far."""
        return self.facts.complete

    @property
    def width(self) -> int:
        """Of the canvas in pixels."""
        return self.facts.width

    @property
    def height(self) -> int:
        """Of the canvas in pixels."""
        return self.facts.height

    @property
    def ratio(self) -> float:
        """Width over height of the canvas."""
        return self.width / self.height

    @property
    def confidence(self) -> tuple[float, ...]:
        """0..1 a frame."""
        return self.facts.confidence

    @property
    def report(self) -> PoseReport:
        """Exactly what ``pirouette pose check`` reports."""
        return self.facts.report

    @property
    def align_frame_s(self) -> float | None:
        """Time of the frame that proportions were measured on; None where nothing was fitted."""
        return self.facts.align_frame_s

    @property
    def people(self) -> tuple[Person, ...]:
        """Whom one can choose in the motion."""
        return self.facts.people

    def frame_at(self, time_s: float) -> int:
        """The frame that is current at a time of the motion, the nearest one beyond the ends."""
        return min(max(int((time_s - self.start_s) * FPS + 1e-3), 0), self.frames - 1)

    def time_of(self, frame: int) -> float:
        """Time of a frame in the motion."""
        return self.start_s + frame / FPS

    def draw(self, frame: int, width: int, height: int) -> QImage:
        """The skeleton as the render draws it, on transparent ground; nothing where nobody is."""
        return drawn(self.answer.drawn[min(max(frame, 0), self.frames - 1)], width, height)

    def draw_found(self, frame: int, width: int, height: int) -> QImage:
        """The pose as it was found, to be laid over the motion's own picture."""
        return drawn(self.answer.found[min(max(frame, 0), self.frames - 1)], width, height)

    def draw_reference(self, width: int, height: int) -> QImage:
        """The reference's own skeleton in white."""
        return drawn(self.answer.reference, width, height, white=True)

    def draw_edited(self, frame: int, edits: Sequence[PoseEdit], width: int, height: int) -> QImage:
        """The fitted pose with these edits on the canvas, before the helper has confirmed them."""
        return drawn(self._edited(frame, edits), width, height)

    def box(self, frame: int, edits: Sequence[PoseEdit]) -> QRectF:
        """Where the edited pose lies, in fractions of the canvas; empty where nobody is."""
        from core.pose.answer import box_of

        pose = self._edited(frame, edits)
        if pose is None:
            return QRectF()
        left, top, right, bottom = box_of(pose)
        return QRectF(left, top, right - left, bottom - top)

    @property
    def pivot(self) -> tuple[float, float]:
        """The reference's neck, about which one turns and scales; the middle where it is not seen."""
        reference = self.answer.reference
        if reference is None or reference.subset[1] < 0:
            return 0.5, 0.5
        x, y = reference.body[1].tolist()
        return round(x, 4), round(y, 4)

    def _edited(self, frame: int, edits: Sequence[PoseEdit]) -> PoseFrame | None:
        from core.pose.edit import edit_pose

        pose = self.answer.plain[min(max(frame, 0), self.frames - 1)]
        return None if pose is None else edit_pose(pose, edits, self.ratio)


def drawn(pose: PoseFrame | None, width: int, height: int, white: bool = False) -> QImage:
    """One pose on transparent ground.

    Args:
        pose: None draws nothing.
        width, height: in pixels.
        white: in place of the colours that the render uses.
    """
    if pose is None or width < 1 or height < 1:
        empty = QImage(max(width, 1), max(height, 1), QImage.Format.Format_RGBA8888)
        empty.fill(0)
        return empty
    factor = max(1, -(-_SMALLEST_SIDE // min(width, height)))
    image = _painted(pose, width * factor, height * factor, white)
    return image if factor == 1 else _smaller(image, width, height)


def _painted(pose: PoseFrame, width: int, height: int, white: bool) -> QImage:
    """As the render draws, opaque where the drawing is."""
    import cv2
    import numpy as np

    from core.pose.draw import draw

    image = QImage(width, height, QImage.Format.Format_RGBA8888)
    pixels = np.frombuffer(image.bits(), np.uint8).reshape(height, width, 4)
    cv2.cvtColor(draw(pose, height, width), cv2.COLOR_RGB2RGBA, dst=pixels)
    words = pixels.view(np.uint32)[..., 0]
    empty = np.array([0, 0, 0, 255], np.uint8).view(np.uint32)[0]
    if white:
        words[:] = np.where(words == empty, np.uint32(0), np.uint32(0xFFFFFFFF))
    else:
        np.multiply(words, words != empty, out=words)
    return image


def _smaller(image: QImage, width: int, height: int) -> QImage:
    """Scaled down with colours weighted by what they cover, so that no dark rim comes of the empty ground."""
    import cv2
    import numpy as np

    pixels = np.frombuffer(image.bits(), np.uint8).reshape(image.height(), image.width(), 4)
    small = QImage(width, height, QImage.Format.Format_RGBA8888_Premultiplied)
    # A pixel is black where it is transparent, so it is multiplied already.
    scaled = np.frombuffer(small.bits(), np.uint8).reshape(height, width, 4)
    cv2.resize(pixels, (width, height), dst=scaled, interpolation=cv2.INTER_AREA)
    return small.convertToFormat(QImage.Format.Format_RGBA8888)
