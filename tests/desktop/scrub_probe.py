"""How smoothly a clip can be dragged through, and how late the event loop is meanwhile.

Run it by hand (``python tests/desktop/scrub_probe.py --help``); the tests run shorter forms.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from desktop.presenters.playback import Playback
from desktop.presenters.sources import Source, Sources, VideoSource

DRAG_S = 4.0
BEAT_MS = 5
MOUSE_MS = 8
# As core/engine/parent.py has it.
ENGINE_NICENESS = 5
_BURN = "import os, sys\nos.nice(int(sys.argv[1]))\nwhile True: sum(range(10000))"


def make_clip(
    path: Path, gop: int, seconds: float = 30.0, fps: int = 30, size: tuple[int, int] = (1920, 1080)
) -> Path:
    """A textured ground that wanders and a square that swings, H.264 with key frames so far apart."""
    width, height = size
    rng = np.random.default_rng(3)
    ground = rng.integers(40, 200, (height // 8 + 32, width // 8 + 32), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        keys = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=2"
        stream.options = {"preset": "ultrafast", "crf": "24", "x264-params": keys}
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        for number in range(round(seconds * fps)):
            x, y = number * 3 % 200, number * 2 % 200
            planes[:height] = ground[y : y + height, x : x + width]
            left = round((0.5 + 0.4 * np.sin(number / 12)) * (width - height // 4))
            planes[height // 3 : height // 3 + height // 4, left : left + height // 4] = 235 - number % 60
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


class Screen(QWidget):
    """Paints a source; a drag over its width goes over the whole clip."""

    def __init__(self, source: Source, playback: Playback) -> None:
        super().__init__()
        self.source, self.playback = source, playback
        self.painted: list[float] = []
        self.resize(960, 540)
        source.changed.connect(self.update)
        playback.position_changed.connect(lambda position_s: source.want(position_s, playback.scrubbing, 0.0))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._go(event, True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._go(event, True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._go(event, False)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        image, time_s = self.source.image, self.source.image_time_s
        if image is None or time_s is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(self.rect(), image)
        painter.end()
        self.painted.append(time_s)

    def _go(self, event: QMouseEvent, scrubbing: bool) -> None:
        share = event.position().x() / max(1, self.width() - 1)
        self.playback.seek(share * self.playback.duration_s, scrubbing)


@dataclass
class Lateness:
    """How much later than asked for a timer of the event loop fires."""

    late_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._timer = QTimer(interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer, singleShot=True)
        self._timer.timeout.connect(self._beat)
        self._due_s = 0.0

    def start(self) -> None:
        self._due_s = time.perf_counter() + BEAT_MS / 1000
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.late_ms, share))

    def text(self) -> str:
        return ", ".join(f"{share:g} %: {self.percentile(share):.1f} ms" for share in (50, 95, 99, 100))

    def _beat(self) -> None:
        self.late_ms.append((time.perf_counter() - self._due_s) * 1000)
        self.start()


@dataclass(frozen=True)
class Drag:
    """Distinct frames that were painted during a drag, a second."""

    forward: float
    backward: float


def drag(screen: Screen, seconds: float) -> Drag:
    """Over the whole clip and back."""
    rates = []
    y = screen.height() // 2
    for backward in (False, True):
        ends = (screen.width() - 1, 0) if backward else (0, screen.width() - 1)
        screen.painted.clear()
        QTest.mousePress(screen, Qt.MouseButton.LeftButton, pos=QPoint(ends[0], y))
        began_s = time.perf_counter()
        while (share := (time.perf_counter() - began_s) / seconds) < 1:
            QTest.mouseMove(screen, QPoint(round(ends[0] + share * (ends[1] - ends[0])), y))
            run_events(MOUSE_MS)
        QTest.mouseRelease(screen, Qt.MouseButton.LeftButton, pos=QPoint(ends[1], y))
        rates.append(len(set(screen.painted)) / seconds)
    return Drag(*rates)


def scrub(screen: Screen, seconds: float) -> tuple[Drag, Lateness]:
    """Drag there and back for so long; the smallest rates of all, and how late the event loop was."""
    lateness, drags = Lateness(), []
    lateness.start()
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < seconds:
        drags.append(drag(screen, DRAG_S))
    lateness.stop()
    return Drag(min(one.forward for one in drags), min(one.backward for one in drags)), lateness


@contextmanager
def burning(processes: int, niceness: int = ENGINE_NICENESS) -> Iterator[None]:
    """That many cores are busy, as with a render beside the window."""
    burners = [
        subprocess.Popen([sys.executable, "-c", _BURN, str(niceness)], stdin=subprocess.DEVNULL)
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@contextmanager
def opened(clip: Path, folder: Path) -> Iterator[tuple[Screen, VideoSource]]:
    """A clip on a screen, its first frame painted."""
    sources, playback = Sources(proxy_folder=folder), Playback()
    source = sources.video(clip)
    screen = Screen(source, playback)
    screen.show()
    source.want(0.0)
    try:
        wait_for(lambda: bool(screen.painted))
        with av.open(str(clip)) as container:
            playback.set_duration(container.duration / av.time_base)
        yield screen, source
    finally:
        screen.close()
        source.close()
        playback.close()
        sources.close()


def run_events(milliseconds: int) -> None:
    """Let the event loop run as the app's does; ``QTest.qWait`` would keep other threads from Python."""
    loop = QEventLoop()
    timer = QTimer(interval=milliseconds, timerType=Qt.TimerType.PreciseTimer, singleShot=True)
    timer.timeout.connect(loop.quit)
    timer.start()
    loop.exec()


def wait_for(condition: object, limit_s: float = 120.0) -> None:
    """Run the event loop until something holds."""
    began_s = time.perf_counter()
    while not condition():  # type: ignore[operator]
        assert time.perf_counter() - began_s < limit_s, "it did not come about in time"
        run_events(10)


def wait_for_copy(folder: Path) -> float:
    """Until the small copy is finished; the seconds it took."""
    began_s = time.perf_counter()
    wait_for(lambda: any(folder.glob("[!.]*.frames")))
    return time.perf_counter() - began_s


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gops", type=int, nargs="+", default=[48, 250])
    parser.add_argument("--clip-seconds", type=float, default=30.0)
    parser.add_argument("--scrub-seconds", type=float, default=60.0, help="under load, for the lateness")
    parser.add_argument("--burners", type=int, default=2)
    parser.add_argument("--niceness", type=int, default=ENGINE_NICENESS)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication([])
    with tempfile.TemporaryDirectory() as name:
        for gop in options.gops:
            _measure(Path(name), gop, options)
    app.quit()


def _measure(folder: Path, gop: int, options: argparse.Namespace) -> None:
    clip, copies = make_clip(folder / f"{gop}.mp4", gop, options.clip_seconds), folder / f"copies-{gop}"
    with opened(clip, copies) as (screen, _):
        before = drag(screen, DRAG_S)
        copied_s = wait_for_copy(copies)
        after = drag(screen, DRAG_S)
        print(f"GOP {gop}: before the copy {_text(before)}; copy ready after {2 * DRAG_S + copied_s:.1f} s")
        print(f"GOP {gop}: with the copy   {_text(after)}")
        with burning(options.burners, options.niceness):
            idle = Lateness()
            idle.start()
            run_events(round(options.scrub_seconds * 250))
            idle.stop()
            worst, lateness = scrub(screen, options.scrub_seconds)
        print(f"GOP {gop}: under load      {_text(worst)} at the least")
        print(f"GOP {gop}: under load      event loop late by {lateness.text()}")
        print(f"GOP {gop}: the same load, nothing scrubbed: late by {idle.text()}", flush=True)


def _text(rates: Drag) -> str:
    return f"{rates.forward:.1f} distinct frames/s forward, {rates.backward:.1f} backward"


if __name__ == "__main__":
    main()
