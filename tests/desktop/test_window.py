"""The window opens, takes files, refuses others, and says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from desktop_app import App
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QPalette
from PySide6.QtWidgets import QAbstractButton, QComboBox, QPlainTextEdit, QSpinBox
from pytestqt.qtbot import QtBot

from core.media.write import write_video
from desktop.main import forget_opencv_plugins
from desktop.presenters.states import Rendering
from desktop.views.style import is_dark, sheet

# Newer Qt calls the only constructor that Qt 6.8 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")

ALL_OF_DESKTOP = """
import importlib, pkgutil, sys
import desktop
for found in pkgutil.walk_packages(desktop.__path__, "desktop."):
    importlib.import_module(found.name)
heavy = {"torch", "diffusers", "transformers"} & set(sys.modules)
assert not heavy, heavy
"""


def drop(app: App, paths: list[Path]) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    copy, button, key = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    app.window.dragEnterEvent(QDragEnterEvent(QPoint(50, 50), copy, data, button, key))
    app.window.dropEvent(QDropEvent(QPointF(50, 50), copy, data, button, key))


def test_importing_desktop_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", ALL_OF_DESKTOP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_opencv_does_not_choose_the_plugins() -> None:
    environment = {
        "QT_QPA_PLATFORM_PLUGIN_PATH": "/site-packages/cv2/qt/plugins",
        "QT_QPA_FONTDIR": "/my/fonts",
    }
    forget_opencv_plugins(environment)
    assert environment == {"QT_QPA_FONTDIR": "/my/fonts"}


def test_empty_window_explains_itself(make_app: Callable[..., App]) -> None:
    window = make_app().window
    assert "Choose" in window.bar.status.text()
    assert not window.bar.button.isEnabled()


def test_dropped_files_are_chosen(
    qtbot: QtBot, make_app: Callable[..., App], picture: Path, motion: Path
) -> None:
    app = make_app()
    with qtbot.waitSignals([app.library.chosen, app.library.chosen]):
        drop(app, [picture, motion])
    assert app.window.references.current() == str(picture)
    assert app.window.motions.current() == str(motion)
    assert app.window.stage.motion.playing
    assert app.window.bar.button.isEnabled()


def test_overlay_names_the_target(make_app: Callable[..., App], picture: Path, motion: Path) -> None:
    overlay = make_app().window.overlay
    overlay.show_for([picture])
    assert overlay.text == "Use as reference picture"
    overlay.show_for([picture, motion])
    assert overlay.text == "Use as reference picture and motion"
    overlay.show_for([Path("song.mp3")])
    assert "neither a picture nor a motion" in overlay.text


def test_unusable_files_are_refused_with_the_reason(
    qtbot: QtBot, make_app: Callable[..., App], tmp_path: Path
) -> None:
    app = make_app()
    fake = tmp_path / "not_a_picture.png"
    fake.write_text("hello")
    with qtbot.waitSignal(app.library.refused):
        drop(app, [fake])
    assert "not_a_picture.png" in app.window.bar.error_text.text()
    assert app.window.references.current() is None
    with qtbot.waitSignal(app.library.refused):
        drop(app, [tmp_path / "song.mp3"])
    assert app.window.bar.error.isVisible()


def test_a_filmed_clip_is_a_motion(qtbot: QtBot, make_app: Callable[..., App], tmp_path: Path) -> None:
    app = make_app()
    clip = tmp_path / "holiday.mp4"
    write_video(clip, [np.full((64, 64, 3), 128, np.uint8)] * 5)
    with qtbot.waitSignal(app.library.chosen):
        drop(app, [clip])
    assert app.window.motions.current() == str(clip)


def test_choosing_the_same_file_again_selects_it(qtbot: QtBot, loaded_app: App, picture: Path) -> None:
    with qtbot.waitSignal(loaded_app.library.chosen):
        loaded_app.library.add([picture])
    assert loaded_app.window.references.current() == str(picture)


def test_every_control_has_an_accessible_name_or_text(make_app: Callable[..., App]) -> None:
    window = make_app().window
    for kind in (QAbstractButton, QComboBox, QSpinBox, QPlainTextEdit):
        for control in window.centralWidget().findChildren(kind):
            text = control.text() if isinstance(control, QAbstractButton) else ""
            inner = control.objectName().startswith("qt_") or control.parent() is None
            assert text or control.accessibleName() or inner, control


def test_progress_shows_phase_and_time(make_app: Callable[..., App]) -> None:
    bar = make_app().window.bar
    bar.show_state(Rendering("sample", 0.5, 11.2))
    assert bar.status.text() == "Rendering…"
    assert bar.remaining.text() == "about 11 s left"
    assert bar.progress.value() == bar.progress.maximum() // 2
    bar.show_state(Rendering("sample", 0.5, 150.0))
    assert bar.remaining.text() == "about 2 min left"


def test_style_follows_light_and_dark() -> None:
    dark = QPalette()
    dark.setColor(QPalette.ColorRole.Window, QColor("#222"))
    dark.setColor(QPalette.ColorRole.WindowText, QColor("#eee"))
    light = QPalette()
    light.setColor(QPalette.ColorRole.Window, QColor("#eee"))
    light.setColor(QPalette.ColorRole.WindowText, QColor("#222"))
    assert is_dark(dark)
    assert not is_dark(light)
    assert sheet(dark) != sheet(light)


def test_stage_steps_and_loops(qtbot: QtBot, loaded_app: App) -> None:
    strip = loaded_app.window.stage.motion
    loaded_app.window.stage.step(1)
    held = strip.index
    assert not strip.playing
    loaded_app.window.stage.step(9)
    assert strip.index == held
    with qtbot.waitSignal(strip.frame_changed):
        loaded_app.window.stage.toggle_playing()
    assert strip.playing
