"""A timeline over real presenters, but for poses that a test decides and thumbnails that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from core.media.write import write_video
from core.types import FPS
from desktop.model.facts import Trouble
from desktop.model.fitted import Busy
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.playback import Playback
from desktop.presenters.timeline import Timeline
from desktop.views.timeline.timeline_view import TimelineView


class FakeThumbnails(QObject):
    """Notes what is asked; answers when told to."""

    ready = Signal(str, object, object)
    failed = Signal(str, str, str)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Path, tuple[float, ...]]] = []
        self.answered = 0

    def ask(self, path: Path, times_s: tuple[float, ...] = (), side: int = 160) -> None:  # noqa: ARG002
        self.asked.append((path, tuple(times_s)))

    def answer(self) -> None:
        """Pictures for the oldest question without an answer."""
        path, times_s = self.asked[self.answered]
        self.answered += 1
        self.ready.emit(str(path), times_s, [picture(time_s) for time_s in times_s])

    def answer_all(self) -> None:
        """Until nothing is asked any more."""
        while self.answered < len(self.asked):
            self.answer()

    def frames(self) -> list[int]:
        """All that was asked for, as frames of the grid."""
        return [round(time_s * FPS) for _, times_s in self.asked for time_s in times_s]


def picture(time_s: float, width: int = 90, height: int = 160) -> QImage:
    """Grey that tells the time."""
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(int(40 + 20 * time_s) % 256 * 0x010101)
    return image


@dataclass(frozen=True)
class FakeFitted:
    """Poses of which only the confidence matters."""

    start_s: float
    confidence: tuple[float, ...]
    align_frame_s: float | None = None
    width: int = 576
    height: int = 1024
    complete: bool = True
    drawn: list[int] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return len(self.confidence)

    def draw(self, frame: int, width: int, height: int) -> QImage:
        self.drawn.append(frame)
        image = QImage(width, height, QImage.Format.Format_ARGB32)
        image.fill(Qt.GlobalColor.green)
        return image


class FakePose(QObject):
    """Poses as a test says them."""

    changed = Signal()
    busy_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.fitted: FakeFitted | None = None
        self.trouble: Trouble | None = None
        self.busy: Busy | None = None

    def find(self, fitted: FakeFitted | None, trouble: Trouble | None = None) -> None:
        self.fitted, self.trouble = fitted, trouble
        self.changed.emit()

    def work(self, busy: Busy | None) -> None:
        self.busy = busy
        self.busy_changed.emit(busy)


@dataclass
class Parts:
    """What a test drives."""

    document: Document
    playback: Playback
    thumbnails: FakeThumbnails
    pose: FakePose
    timeline: Timeline
    view: TimelineView
    background: Background

    def open(self, qtbot: QtBot, motion: Path) -> None:
        """Choose a motion and wait until it was looked at."""
        self.document.change("Motion", motion=motion)
        qtbot.waitUntil(lambda: self.document.facts.motion is not None, timeout=10_000)
        clip = self.document.facts.clip
        assert clip is not None
        # As the stage does it.
        self.playback.set_duration(clip.duration_s)
        self.playback.set_range(0.0, clip.duration_s)

    def close(self) -> None:
        self.timeline.close()
        self.playback.close()
        self.background.close()


def make_parts(qtbot: QtBot, native: int | None = 33, width: int = 1000) -> Parts:
    """A shown view of that width."""
    background = Background("files")
    document, playback = Document(background), Playback()
    thumbnails, pose = FakeThumbnails(), FakePose()
    timeline = Timeline(document, playback, thumbnails, pose, lambda _model: native)  # type: ignore[arg-type]
    view = TimelineView(timeline, playback)
    qtbot.addWidget(view)
    view.resize(width, 260)
    view.show()
    qtbot.waitExposed(view)
    return Parts(document, playback, thumbnails, pose, timeline, view, background)


def moving_clip(path: Path, seconds: float, width: int = 64, height: int = 96) -> Path:
    """A bar that wanders, 16 frames a second."""
    write_video(path, _pictures(round(seconds * FPS), width, height), FPS)
    return path


def _pictures(count: int, width: int, height: int) -> Sequence[np.ndarray]:
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 40, np.uint8)
        left = number * 2 % (width - 8)
        frame[:, left : left + 8] = (220, 120, 60)
        frames.append(frame)
    return frames
