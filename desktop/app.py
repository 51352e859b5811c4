"""The app from its command line to its end: opens the window with what was open last."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from core.catalogue.demo import demo_characters, demo_motions
from desktop.build import App, build_app
from desktop.ending import end_on_signals, end_within
from desktop.model.draft import Draft
from desktop.options import parse
from desktop.presenters.single_instance import SingleInstance
from desktop.views.icons import app_icon
from desktop.views.window_commands import apply_theme

_SWITCH_EVERY_S: Final = 0.001


def run(arguments: Sequence[str]) -> int:
    """Run the app until its window is closed; the process's exit code."""
    options = parse(arguments)
    # The window waits for threads that hold the interpreter's lock; five times less than usual.
    sys.setswitchinterval(_SWITCH_EVERY_S)
    instance = SingleInstance()
    alone = options.measure_startup or options.demo_and_quit
    if not alone and not instance.claim():
        from desktop.shell import hand_over

        code = hand_over(instance, options.files)
        if code is not None:
            return code
    if sys.platform == "win32":
        from desktop.presenters.taskbar import name_process

        name_process()
    # Objects made at the start stay: looking for garbage among them only delays the first paint.
    gc.disable()
    application = make_application()
    app = build_app()
    # After the views: a style sheet that is there is worked through by each of them as it is made.
    apply_theme(app.parts.settings.theme)
    end_on_signals(application.exit, application)
    app.window.closed.connect(end_within)
    app.window.closed.connect(app.parts.close)
    app.window.closed.connect(application.quit)
    open_last(app)
    app.window.show()
    if options.measure_startup:
        measure(app, application.exit)
    else:
        QTimer.singleShot(0, app.window, lambda: begin(app, options, instance, application.exit))
    code = application.exec()
    app.window.close()
    return code


def make_application() -> QApplication:
    """The Qt application with our name; it ends when the window is closed, dialogs or not."""
    application = QApplication([sys.argv[0]])
    application.setApplicationName("Pirouette")
    application.setStyle("Fusion")
    application.setWindowIcon(app_icon())
    application.setQuitOnLastWindowClosed(False)
    QGuiApplication.setDesktopFileName("pirouette")
    return application


def open_last(app: App) -> None:
    """What was open when the app ended; at the very first start a character that can be rendered at once."""
    parts = app.parts
    if not parts.projects.restore_last():
        parts.projects.new(Draft(reference=demo_characters()[0], motion=demo_motions()[0]))
    parts.queue.open()


def begin(
    app: App, options: argparse.Namespace, instance: SingleInstance, leave: Callable[[int], None]
) -> None:
    """What may wait until the window is on the screen.

    Args:
        instance: the door for later starts; where it is not claimed it stays closed.
        leave: ends the app with an exit code.
    """
    from core.settings import app_version
    from desktop.shell import Shell

    gc.enable()
    gc.freeze()
    QApplication.setApplicationVersion(app_version())
    parts = app.parts
    parts.queue.start()
    parts.inspector.start()
    parts.machine.start()
    parts.downloads.start()
    parts.document.look_again()
    Shell(app.window, parts, instance)
    if not options.demo_and_quit:
        parts.first_run.start()
    if options.files:
        parts.intake.take([path.absolute() for path in options.files])
    if options.demo_and_quit:
        from desktop.demo_run import DemoRun

        DemoRun(app, leave)


def measure(app: App, leave: Callable[[int], None]) -> None:
    """Print how long the start took, and quit; renders nothing."""
    from desktop.startup import StartupWatch, heavy_modules, say

    def report(elapsed_ms: float | None) -> None:
        heavy = heavy_modules()
        say("too long" if elapsed_ms is None else f"{elapsed_ms:.0f}")
        if heavy:
            say(f"loaded: {', '.join(heavy)}")
        leave(1 if elapsed_ms is None or heavy else 0)

    StartupWatch(app.window, lambda: is_filled(app), report)


def is_filled(app: App) -> bool:
    """Whether library, queue and the last project are shown."""
    parts = app.parts
    pictured = parts.library.references.pictured and parts.library.motions.pictured
    return bool(pictured and parts.queue.listed and parts.document.facts.clip is not None)
