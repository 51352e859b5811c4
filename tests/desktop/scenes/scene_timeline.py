"""The timeline in the states worth seeing, over real clips, thumbnails and poses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from core.catalogue.entries import entry
from core.media.write import write_video
from core.settings import resources
from core.types import Trim
from desktop.presenters.background import Background
from desktop.presenters.document import Document
from desktop.presenters.playback import Playback
from desktop.presenters.pose import Pose
from desktop.presenters.thumbnails import Thumbnails
from desktop.presenters.timeline import Timeline
from desktop.views.timeline.timeline_view import TimelineView

_LIMIT_S = 60.0
_HEIGHT = 250
_SECONDS = 9
_DEMO = resources() / "demo"


class _Bench:
    """A timeline with all that it needs."""

    def __init__(self, width: int = 900) -> None:
        self.background = Background("documents", threads=2)
        self.document = Document(self.background)
        self.playback, self.thumbnails = Playback(), Thumbnails()
        self.pose = Pose(self.document, self.background)
        self.timeline = Timeline(
            self.document,
            self.playback,
            self.thumbnails,
            self.pose,
            lambda model: entry(model).native_frames,
        )
        self.view = TimelineView(self.timeline, self.playback)
        self.view.resize(width, _HEIGHT)
        self.view.show()
        # Whoever looks closes the widget alone.
        self.view.destroyed.connect(lambda: self.close())
        QApplication.processEvents()

    def wait(self, ready: Callable[[], bool]) -> None:
        until_s = time.monotonic() + _LIMIT_S
        while not ready():
            assert time.monotonic() < until_s, "The scene did not come about."
            QApplication.processEvents()
            time.sleep(0.002)
        QApplication.processEvents()

    def choose(self, motion: Path) -> None:
        self.document.change("Inputs", reference=_DEMO / "characters" / "Ada.png", motion=motion)
        self.wait(lambda: self.document.facts.motion is not None and self.document.facts.picture is not None)
        clip = self.document.facts.clip
        if clip is not None:
            self.playback.set_duration(clip.duration_s)
            self.playback.set_range(0.0, clip.duration_s)

    def pictures(self) -> None:
        """Wait until all that is in view is painted."""
        strip = self.timeline.motion_strip
        self.wait(lambda: bool(strip.wanted) and all(strip.image(frame) for frame in strip.wanted))
        if self.timeline.fitted is not None:
            poses = self.timeline.skeletons
            self.wait(lambda: bool(poses.wanted) and all(poses.image(frame) for frame in poses.wanted))

    def fitted(self) -> None:
        self.wait(lambda: self.timeline.fitted is not None)

    def close(self) -> None:
        self.timeline.close()
        self.pose.close()
        self.thumbnails.close()
        self.playback.close()
        self.background.close()


def _film(path: Path) -> Path:
    """A character who wanders through the picture."""
    with Image.open(_DEMO / "characters" / "Bruno.png") as opened:
        still = np.asarray(opened.convert("RGB").resize((192, 336)))

    def frames() -> Iterator[NDArray[np.uint8]]:
        for number in range(_SECONDS * 16):
            yield np.roll(still, round(40 * np.sin(number / 8)), axis=1)

    write_video(path, frames())
    return path


def empty(_folder: Path) -> QWidget:
    """Nothing is chosen."""
    return _Bench().view


def demo(_folder: Path) -> QWidget:
    """A demo motion with fitted poses; the live preview of a render fills the result."""
    bench = _Bench()
    bench.choose(_DEMO / "motions" / "Wave.pose.json")
    bench.fitted()
    image = QImage(str(_DEMO / "characters" / "Ada.png")).scaledToHeight(96)
    bench.timeline.show_result_progress(13, 33)
    bench.timeline.show_result_frames([image, image.mirrored(True, False)] * 4)
    bench.playback.seek(0.75)
    bench.pictures()
    return bench.view


def film(folder: Path) -> QWidget:
    """A filmed clip, trimmed to more than the model makes, with its poses being found."""
    bench = _Bench()
    bench.choose(_film(folder / "Living room, second take.mp4"))
    bench.document.change("Trim", trim=Trim(1.5, 6.0))
    bench.playback.seek(2.25)
    bench.wait(lambda: bench.pose.busy is not None and bool(bench.pose.busy.fraction))
    bench.pictures()
    return bench.view


def near(folder: Path) -> QWidget:
    """Frames of a filmed clip one by one, a finished result, a handle with the keyboard's focus."""
    bench = _Bench()
    clip = _film(folder / "Living room, second take.mp4")
    bench.choose(clip)
    bench.document.change("Trim", trim=Trim(1.5, 3.5625))
    bench.timeline.set_align_frame(2.0)
    bench.timeline.show_result(clip, 1.5, 33, "Ada, Living room, second take, seed 481516")
    bench.playback.seek(1.8125)
    bench.view.canvas.zoom_to_range()
    bench.view.canvas.zoom(2, 100)
    bench.fitted()
    bench.view.canvas.handle("in").setFocus()
    bench.pictures()
    return bench.view


def narrow(folder: Path) -> QWidget:
    """As little room as the smallest window leaves."""
    bench = _Bench(460)
    bench.choose(_film(folder / "Living room, second take.mp4"))
    bench.pose.set_allowed(False)
    bench.pictures()
    return bench.view


def unreadable(folder: Path) -> QWidget:
    """A motion that is no clip."""
    bench = _Bench()
    path = folder / "holiday.mp4"
    path.write_bytes(b"\0" * 64)
    bench.choose(path)
    return bench.view


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "timeline-empty": empty,
    "timeline-demo": demo,
    "timeline-film": film,
    "timeline-near": near,
    "timeline-narrow": narrow,
    "timeline-unreadable": unreadable,
}
