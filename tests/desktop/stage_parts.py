"""Stand-ins for what the stage looks at: a clock moved by hand, plain pictures, a pose of one colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from core.media.write import write_video
from core.types import FPS
from desktop.model.facts import Trouble
from desktop.model.fitted import Busy
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.stage import Stage
from desktop.presenters.stage_results import ResultItem
from desktop.views.stage.stage_view import StageView

COLOURS = {"ref": "#305080", "clip": "#804020", "one": "#c03030", "two": "#3030c0"}


class HandClock(QObject):
    """``Playback`` that stands still until a test moves it."""

    position_changed = Signal(float)
    playing_changed = Signal(bool)
    range_changed = Signal(float, float)
    duration_changed = Signal(float)
    speed_changed = Signal(float)
    looping_changed = Signal(bool)
    volume_changed = Signal(float, bool)

    def __init__(self) -> None:
        super().__init__()
        self.position_s, self.duration_s, self.range_s = 0.0, 0.0, (0.0, 0.0)
        self.playing = self.looping = self.muted = self.scrubbing = False
        self.speed, self.volume = 1.0, 1.0
        self.sound: tuple[Path | None, float] = (None, 0.0)

    @property
    def frame(self) -> int:
        return round(self.position_s * FPS)

    def set_duration(self, duration_s: float) -> None:
        if duration_s != self.duration_s:
            self.duration_s = duration_s
            self.duration_changed.emit(duration_s)

    def set_range(self, start_s: float, end_s: float) -> None:
        if (start_s, end_s) != self.range_s:
            self.range_s = (start_s, end_s)
            self.range_changed.emit(start_s, end_s)

    def seek(self, time_s: float, scrubbing: bool = False) -> None:
        self.position_s, self.scrubbing = min(max(time_s, 0.0), self.duration_s), scrubbing
        self.position_changed.emit(self.position_s)

    def step(self, frames: int) -> None:
        self.seek(self.position_s + frames / FPS)

    def play(self) -> None:
        self._set_playing(True)

    def pause(self) -> None:
        self._set_playing(False)

    def toggle(self) -> None:
        self._set_playing(not self.playing)

    def shuttle(self, direction: int) -> None:
        self.speed = float(direction) if direction else 1.0
        self.speed_changed.emit(self.speed)
        self._set_playing(direction != 0)

    def set_looping(self, on: bool) -> None:
        self.looping = on
        self.looping_changed.emit(on)

    def set_sound(self, path: Path | None, offset_s: float = 0.0) -> None:
        self.sound = (path, offset_s)

    def set_muted(self, on: bool) -> None:
        self.muted = on
        self.volume_changed.emit(self.volume, on)

    def set_volume(self, volume: float) -> None:
        self.volume = volume
        self.volume_changed.emit(volume, self.muted)

    def _set_playing(self, on: bool) -> None:
        if on != self.playing:
            self.playing = on
            self.playing_changed.emit(on)


class PlainSource(QObject):
    """A picture of one colour for each sixteenth of a second; counts what it was asked for."""

    changed = Signal()
    failed = Signal(str, str)

    def __init__(self, colour: str, offset_s: float = 0.0, size: tuple[int, int] = (90, 160)) -> None:
        super().__init__()
        self.colour, self.offset_s, self.size = QColor(colour), offset_s, size
        self.image: QImage | None = None
        self.image_time_s: float | None = None
        self.wishes: list[tuple[float, bool, float]] = []
        self.closed = False

    def want(self, time_s: float, scrubbing: bool = False, speed: float = 0.0) -> None:
        self.wishes.append((time_s, scrubbing, speed))
        at_s = round(time_s * FPS) / FPS
        if at_s != self.image_time_s:
            self.image = QImage(*self.size, QImage.Format.Format_RGB32)
            self.image.fill(self.colour)
            self.image_time_s = at_s
            self.changed.emit()

    def close(self) -> None:
        self.closed = True


class PlainSources:
    """``Sources`` without files: a colour by the name of the file, grey by default."""

    def __init__(self) -> None:
        self.made: list[tuple[str, PlainSource]] = []

    def video(self, path: Path, offset_s: float = 0.0) -> PlainSource:
        return self._make(path, offset_s)

    def still(self, path: Path) -> PlainSource:
        return self._make(path, 0.0)

    def open(self) -> dict[str, PlainSource]:
        """By the stem of the file; only those that are not closed."""
        return {stem: source for stem, source in self.made if not source.closed}

    def _make(self, path: Path, offset_s: float) -> PlainSource:
        source = PlainSource(COLOURS.get(path.stem, "#808080"), offset_s)
        self.made.append((path.stem, source))
        return source


class OneGreen:
    """A fitted pose that draws a green ground, so that it can be told from the picture."""

    def __init__(self, start_s: float = 0.0, frames: int = 32) -> None:
        self.start_s, self.frames, self.width, self.height = start_s, frames, 90, 160
        self.drawn: list[int] = []

    def draw(self, frame: int, width: int, height: int) -> QImage:
        self.drawn.append(frame)
        image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(QColor(0, 200, 0))
        return image


class StillPose(QObject):
    """``Pose`` that finds what a test gives it."""

    changed = Signal()
    busy_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.fitted: OneGreen | None = None
        self.trouble: Trouble | None = None
        self.busy: Busy | None = None

    def find(self, fitted: OneGreen | None) -> None:
        self.fitted = fitted
        self.changed.emit()

    def work(self, busy: Busy | None) -> None:
        self.busy = busy
        self.busy_changed.emit(busy)


class Desk:
    """A stage on real documents and files; what plays, decodes and finds poses stands still."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.qtbot, self.folder = qtbot, folder
        self.background = Background("documents")
        self.document = Document(self.background)
        self.clock, self.sources, self.pose = HandClock(), PlainSources(), StillPose()
        self.stage = Stage(self.document, self.clock, self.sources, self.pose)
        self.view = StageView(self.stage, self.clock)
        self.view.resize(640, 480)
        qtbot.addWidget(self.view)

    def show(self) -> None:
        with self.qtbot.waitExposed(self.view):
            self.view.show()
        self.view.activateWindow()
        self.view.canvas.setFocus()

    def choose_picture(self) -> Path:
        path = self.folder / "ref.png"
        image = QImage(90, 160, QImage.Format.Format_RGB32)
        image.fill(QColor("blue"))
        image.save(str(path))
        self.document.change("Picture", reference=path)
        self.qtbot.waitUntil(lambda: self.document.facts.picture is not None)
        return path

    def choose_motion(self) -> Path:
        path = write_clip(self.folder / "clip.mp4", 32)
        self.document.change("Motion", motion=path)
        self.qtbot.waitUntil(lambda: self.document.facts.clip is not None)
        self.clock.set_duration(2.0)
        self.clock.set_range(0.0, 2.0)
        return path

    def finish(self, name: str, start_s: float = 0.5, frames: int = 17, asked: bool = False) -> Path:
        """A render is done; waits until its file was looked at."""
        path = self.finish_quietly(name, start_s, frames, asked)
        self.qtbot.waitUntil(lambda: self.item(path).duration_s > 0)
        return path

    def finish_quietly(self, name: str, start_s: float = 0.5, frames: int = 17, asked: bool = False) -> Path:
        """A render is done; its file may never be looked at."""
        path = write_clip(self.folder / f"{name}.mp4", frames)
        self.stage.show_result(path, start_s, name.title(), asked)
        return path

    def item(self, path: Path) -> ResultItem:
        return next(item for item in self.stage.results if item.path == path)

    def colour_at(self, x: float, y: float) -> str:
        """What is painted at a place of the canvas, in shares of its size."""
        canvas = self.view.canvas
        image = canvas.grab().toImage()
        return image.pixelColor(int(x * (image.width() - 1)), int(y * (image.height() - 1))).name()

    def close(self) -> None:
        self.view.close_full_screen()
        self.view.close()
        self.stage.close()
        self.background.close()


def open_desk(qtbot: QtBot, folder: Path) -> Iterator[Desk]:
    """For a fixture."""
    desk = Desk(qtbot, folder)
    desk.show()
    yield desk
    desk.close()


def write_clip(path: Path, frames: int, colour: tuple[int, int, int] = (90, 60, 30)) -> Path:
    """A real video of 64 x 112 pixels at 16 frames a second, in one colour, without sound."""
    write_video(path, (np.full((112, 64, 3), colour, np.uint8) for _ in range(frames)))
    return path
