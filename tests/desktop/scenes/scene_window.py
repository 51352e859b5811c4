"""The whole window, with the shipped model where something is rendered."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication, QWidget

from core.catalogue.demo import demo_characters, demo_motions
from core.types import Trim
from desktop.app import begin, open_last
from desktop.build import App, build_app
from desktop.presenters.single_instance import SingleInstance

_LIMIT_S = 150.0
_USUAL = (1400, 900)
_SMALL = (1000, 640)
_HELD: list[App] = []


def _until(ready: Callable[[], object], what: str) -> None:
    until_s = time.monotonic() + _LIMIT_S
    while not ready():
        assert time.monotonic() < until_s, what
        QApplication.processEvents()
        time.sleep(0.005)


def _open(size: tuple[int, int] = _USUAL) -> App:
    """As at the very first start, with everything that comes after the first paint."""
    app = build_app()
    _HELD.append(app)
    open_last(app)
    app.window.resize(*size)
    app.window.show()
    parts = app.parts
    begin(app, Namespace(files=[], demo_and_quit=False), SingleInstance(), lambda _code: None)
    parts.first_run.offered.disconnect()
    _until(lambda: parts.pose.fitted is not None and parts.pose.fitted.complete, "poses")
    _until(lambda: app.window.inspector.render_button.isEnabled(), "estimate")
    _until(lambda: parts.library.references.pictured >= 2, "thumbnails")
    _settle()
    return app


def _settle(seconds: float = 1.0) -> None:
    until_s = time.monotonic() + seconds
    _until(lambda: time.monotonic() > until_s, "")


def _render(app: App, reference: int, motion: int) -> None:
    parts = app.parts
    done: list[object] = []
    parts.queue.finished.connect(lambda *news: done.append(news))
    parts.document.change("Inputs", reference=demo_characters()[reference], motion=demo_motions()[motion])
    _settle()
    _until(lambda: not parts.inspector.blocked(), "estimate")
    app.window.inspector.render_button.click()
    _until(lambda: done, "render")


def first_start() -> QWidget:
    """A character and a motion are chosen, the skeleton sits on the picture."""
    return _open().window


def result() -> QWidget:
    """Driving, skeleton and result side by side."""
    app = _open()
    _render(app, 1, 1)
    parts = app.parts
    _until(lambda: parts.stage.shown is not None and not parts.stage.live, "result")
    parts.stage.set_mode("side_by_side")
    parts.playback.pause()
    parts.playback.seek(1.0)
    _settle(2.0)
    return app.window


def queue() -> QWidget:
    """One renders, others wait."""
    app = _open()
    parts = app.parts
    characters, motions = demo_characters(), demo_motions()
    shown: list[object] = []
    parts.queue.preview.connect(lambda *news: shown.append(news))
    parts.intake.accept_pairs([(characters[n], motions[n % 4]) for n in range(5)])
    _until(lambda: shown, "preview")
    _settle(1.5)
    return app.window


def small() -> QWidget:
    """The smallest window, with a trim and a message."""
    app = _open(_SMALL)
    app.parts.document.change("Trim", trim=Trim(0.5, 1.5))
    app.parts.intake.take([Path("holiday notes.txt")])
    _until(lambda: app.window.messages.isVisible(), "message")
    _settle()
    return app.window


def empty() -> QWidget:
    """A new project."""
    app = _open()
    app.parts.projects.new()
    _settle()
    return app.window


SCENES: dict[str, Callable[[Path], QWidget]] = {
    "window_first_start": lambda _: first_start(),
    "window_result": lambda _: result(),
    "window_queue": lambda _: queue(),
    "window_small": lambda _: small(),
    "window_empty": lambda _: empty(),
}
