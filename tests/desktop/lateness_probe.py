"""How late the window's event loop is while it renders and is scrubbed; run by hand.

The whole window with the shipped model: renders follow each other and saturate both cores, a filmed
clip of 1080p is the motion, and the playhead is dragged over the timeline to and fro. A timer beats
every 5 ms; how much later than that it comes is how long a click would have waited.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from scrub_probe import make_clip, run_events, wait_for

from core.catalogue.demo import demo_characters, demo_motions
from desktop.app import begin, make_application, open_last
from desktop.build import App, build_app
from desktop.options import parse
from desktop.presenters.single_instance import SingleInstance
from desktop.views.window_commands import apply_theme

BEAT_MS: Final = 5
MOVE_EVERY_MS: Final = 8
DRAG_S: Final = 4.0


def main() -> int:
    """Prints the percentiles; 1 where the 99th is over 50 ms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PIROUETTE_HOME"] = str(Path(folder) / "home")
        clip = make_clip(Path(folder) / "clip.mp4", gop=250)
        late_ms, done = measure(clip, options.seconds)
    p50, p95, p99 = np.percentile(late_ms, [50, 95, 99])
    print(f"{options.seconds:.0f} s of scrubbing, {done} renders done meanwhile")
    print(f"late by {p50:.1f} ms (median), {p95:.1f} (95 %), {p99:.1f} (99 %), {max(late_ms):.0f} at most")
    return int(p99 > 50)


def measure(clip: Path, seconds: float) -> tuple[list[float], int]:
    """Milliseconds that each beat was late, and how many renders were done meanwhile."""
    application = make_application()
    app = build_app()
    apply_theme("light")
    app.window.closed.connect(app.parts.close)
    open_last(app)
    app.window.show()
    begin(app, parse([]), SingleInstance(), lambda _code: None)
    app.parts.first_run.offered.disconnect()
    done: list[object] = []
    app.parts.queue.finished.connect(lambda *news: done.append(news))
    wait_for(lambda: not app.parts.inspector.blocked())
    characters, motions = demo_characters(), demo_motions()
    app.parts.document.change("Preset", preset="reference")
    app.parts.intake.accept_pairs([(one, other) for one in characters for other in motions])
    wait_for(lambda: app.parts.queue.overall.phase == "sample")
    app.parts.document.change("Motion", motion=clip)
    wait_for(lambda: app.parts.document.facts.clip is not None and app.parts.document.facts.clip.path == clip)
    app.parts.stage.set_mode("driving")
    run_events(2000)
    late_ms = scrub(app, seconds)
    assert application is not None
    app.window.close()
    return late_ms, len(done)


def scrub(app: App, seconds: float) -> list[float]:
    """Drag over the timeline until the time is over."""
    canvas = app.window.timeline.canvas
    late_ms: list[float] = []
    last_s = time.perf_counter()

    def beat() -> None:
        nonlocal last_s
        now_s = time.perf_counter()
        late_ms.append(max(0.0, 1000 * (now_s - last_s) - BEAT_MS))
        last_s = now_s

    timer = QTimer(interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(beat)
    began_s = last_s = time.perf_counter()
    timer.start()
    height = 12
    mouse(app, QMouseEvent.Type.MouseButtonPress, QPoint(40, height))
    while (elapsed_s := time.perf_counter() - began_s) < seconds:
        share = abs((elapsed_s / DRAG_S + 1) % 2 - 1)
        mouse(app, QMouseEvent.Type.MouseMove, QPoint(40 + round(share * (canvas.width() - 80)), height))
        run_events(MOVE_EVERY_MS)
    mouse(app, QMouseEvent.Type.MouseButtonRelease, QPoint(40, height))
    timer.stop()
    return late_ms


def mouse(app: App, kind: QMouseEvent.Type, spot: QPoint) -> None:
    """As the window system would send it."""
    canvas = app.window.timeline.canvas
    button = Qt.MouseButton.LeftButton
    held = Qt.MouseButton.NoButton if kind == QMouseEvent.Type.MouseButtonRelease else button
    at = QPointF(spot)
    event = QMouseEvent(
        kind, at, QPointF(canvas.mapToGlobal(spot)), button, held, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(canvas, event)


if __name__ == "__main__":
    sys.exit(main())
