"""What somebody does on a first day with the app; run by ``test_on_a_screen.py`` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication
from screen.drag_source import SIDE
from screen.person import Person
from screen.pointer import between

from core.types import Trim
from desktop.main import main
from desktop.views.first_run import FirstRunDialog
from desktop.views.window import Window

OUTSIDE = (1420, 40)


def drop(person: Person, path: Path, taken: Callable[[], object]) -> None:
    """Drag a file out of another program's window onto the stage; that program lives until it is taken."""
    command = [sys.executable, str(Path(__file__).with_name("drag_source.py")), *map(str, OUTSIDE), str(path)]
    source = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert source.stdout is not None
    try:
        assert source.stdout.readline() == "ready\n"
        start = (OUTSIDE[0] + SIDE // 2, OUTSIDE[1] + SIDE // 2)
        person.hand.move(start)
        person.hand.press()
        person.hand.move(between(start, person.place(person.window.stage), 0.2))
        person.hand.move(person.place(person.window.stage))
        person.wait(f"the veil names a place for {path.name}", lambda: find_window().veil.isVisible())
        person.hand.release()
        assert source.stdout.readline() == "CopyAction\n"
        person.wait(f"{path.name} is taken", taken)
    finally:
        source.kill()
        source.wait()
        source.stdout.close()


def find_window() -> Window:
    """For looks that run on the window's thread."""
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, Window))


def first_day(person: Person, picture: Path, motion: Path) -> None:
    """Drop, trim, choose, render, watch, quit."""
    window = person.window
    parts = window._parts
    decline_download(person)
    person.hand.focus(person.eyes.see(lambda: int(window.winId())))
    drop(person, picture, lambda: parts.document.draft.reference == picture)
    drop(person, motion, lambda: parts.document.draft.motion == motion)
    person.wait("the motion is known", lambda: parts.document.facts.clip is not None)
    trim(person)
    person.click(person.eyes.see(lambda: window.inspector.fields.preset.segments.button("draft")))
    person.wait("a draft is chosen, for it is soon there", lambda: parts.document.draft.preset == "draft")
    widen_library(person)
    person.wait("the poses are there", lambda: parts.pose.fitted is not None and parts.pose.fitted.complete)
    person.wait("Render can be pressed", lambda: window.inspector.render_button.isEnabled())
    previews: list[int] = []
    shown: list[int] = []
    person.eyes.see(
        lambda: parts.stage.changed.connect(lambda: previews.append(1) if parts.stage.live else None)
    )
    person.eyes.see(lambda: parts.queue.preview.connect(lambda *_: shown.append(1)))
    person.click(window.inspector.render_button)
    person.wait("a live preview is on the stage", lambda: parts.stage.live)
    person.wait("the result is on the stage", lambda: not parts.stage.live and parts.stage.shown is not None)
    assert shown, "There was no preview."
    assert len(previews) > 1, "The preview stood still."
    plays(person)
    person.hand.keys("Control_L", "q")


def decline_download(person: Person) -> None:
    """The card of the first start says what this computer can run; a click on Later sends it away."""

    def card() -> FirstRunDialog | None:
        return next((w for w in QApplication.topLevelWidgets() if isinstance(w, FirstRunDialog)), None)

    person.wait("the first card is up", lambda: (shown := card()) is not None and shown.isVisible())
    shown = person.eyes.see(card)
    assert shown is not None
    person.wait("it can be sent away", lambda: shown.later.isVisible() and shown.later.isEnabled())
    person.click(shown.later)
    person.wait("it is gone", lambda: QApplication.activeModalWidget() is None)


def trim(person: Person) -> None:
    """Drag the out point to less than half, and see that it sits on the grid."""
    window = person.window
    parts = window._parts
    handle = person.eyes.see(lambda: window.timeline.canvas.handle("out"))
    whole_s = person.eyes.see(lambda: parts.timeline.duration_s)
    start = person.place(handle)
    goal = between(person.place(window.timeline.canvas.handle("in")), start, 0.4)
    person.hand.drag(start, (goal[0], start[1]))
    person.wait("the motion is trimmed", lambda: parts.document.draft.trim != Trim())
    end_s = person.eyes.see(lambda: parts.document.draft.trim.end_s)
    assert end_s is not None
    assert 0.25 * whole_s < end_s < 0.6 * whole_s
    assert (16 * end_s).is_integer()


def widen_library(person: Person) -> None:
    """Give the library 60 more pixels."""
    window = person.window
    before = person.eyes.see(window.library.width)
    x, y = person.place(window.library, 1.0, 0.5)
    person.hand.drag((x, y), (x + 60, y))
    person.wait("the library is wider", lambda: window.library.width() >= before + 40)


def plays(person: Person) -> None:
    """The result runs on the stage; the space bar holds it and lets it run again."""
    window = person.window
    parts = window._parts
    person.wait("the result plays", lambda: parts.playback.playing)
    frames: set[int] = set()
    person.eyes.see(
        lambda: parts.playback.position_changed.connect(lambda _: frames.add(parts.playback.frame))
    )
    person.wait("several of its frames were shown", lambda: len(frames) > 6)
    person.click(window.stage.canvas)
    person.hand.keys("space")
    person.wait("the space bar holds it", lambda: not parts.playback.playing)
    held = person.eyes.see(lambda: parts.playback.frame)
    person.hand.keys("Right")
    person.wait("an arrow goes on by a frame", lambda: parts.playback.frame != held)


def second_day(person: Person, picture: Path, motion: Path) -> None:
    """Everything is as it was left."""
    window = person.window
    parts = window._parts
    person.wait("the queue is back", lambda: parts.queue.model.rowCount() == 1)
    row = person.eyes.see(lambda: parts.queue.model.rows[0])
    assert row.state == "done", row
    draft = person.eyes.see(lambda: parts.document.draft)
    assert (draft.reference, draft.motion) == (picture, motion)
    assert draft.trim != Trim()
    print("library", person.eyes.see(window.library.width), flush=True)
    person.wait("the result can be shown", lambda: parts.stage.results)
    person.hand.focus(person.eyes.see(lambda: int(window.winId())))
    person.hand.keys("Control_L", "q")


def run() -> int:
    """``first_day.py DISPLAY DAY PICTURE MOTION``."""
    display, day, *paths = sys.argv[1:]
    person = Person(display)
    script = {"first": first_day, "second": second_day}[day]
    picture, motion = (Path(path) for path in paths)

    def begin(person: Person) -> None:
        person.wait(
            "the window is up", lambda: any(isinstance(w, Window) for w in QApplication.topLevelWidgets())
        )
        script(person, picture, motion)

    thread = person.act(begin)
    code = main([])
    thread.join(10)
    for line in filter(None, (person.failure, *person.warnings)):
        print(line, file=sys.stderr)
    return code or bool(person.failure or person.warnings)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(run())
