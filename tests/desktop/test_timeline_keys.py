"""The timeline by keyboard, and the controls beside it that keep their own keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot
from timeline_parts import FakeFitted, Parts, make_parts, moving_clip

from core.types import FPS, Trim

KEY = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier
PLAIN = Qt.KeyboardModifier.NoModifier


@dataclass
class Window:
    """A timeline in a window with other controls."""

    parts: Parts
    top: QWidget
    button: QPushButton
    text: QLineEdit
    spin: QSpinBox
    rows: QListWidget
    slider: QSlider

    def press(self, *keys: Qt.Key, held: Qt.KeyboardModifier = PLAIN) -> None:
        """To whatever has the focus."""
        for key in keys:
            QTest.keyClick(self.top.windowHandle(), key, held)

    @property
    def frame(self) -> int:
        return self.parts.playback.frame


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_clip(tmp_path_factory.mktemp("clips") / "dance.mp4", 6.0)


@pytest.fixture
def window(qtbot: QtBot, clip: Path) -> Iterator[Window]:
    parts = make_parts(qtbot)
    top = QWidget()
    qtbot.addWidget(top)
    rows = QListWidget()
    rows.addItems(["Ada", "Jan", "Lea", "Ivo", "Ola"])
    spin = QSpinBox()
    spin.setRange(0, 999)
    made = Window(parts, top, QPushButton("Go"), QLineEdit(), spin, rows, QSlider(Qt.Orientation.Horizontal))
    layout = QVBoxLayout(top)
    for each in (made.button, made.text, made.spin, made.rows, made.slider, parts.view):
        layout.addWidget(each)
    top.resize(900, 620)
    top.show()
    top.activateWindow()
    qtbot.waitUntil(top.isActiveWindow)
    parts.open(qtbot, clip)
    parts.view.canvas.setFocus()
    yield made
    parts.close()


def test_arrows_step_by_frames_and_with_shift_by_seconds(window: Window) -> None:
    window.press(KEY.Key_Right, KEY.Key_Right)
    assert window.frame == 2
    window.press(KEY.Key_Right, held=SHIFT)
    assert window.frame == 18
    window.press(KEY.Key_Left)
    window.press(KEY.Key_Left, held=SHIFT)
    assert window.frame == 1


def test_i_and_o_trim_at_the_playhead_with_its_frame_inside(window: Window) -> None:
    window.parts.playback.seek(1.0)
    window.press(KEY.Key_I)
    window.parts.playback.seek(3.0)
    window.press(KEY.Key_O)
    assert window.parts.document.draft.trim == Trim(1.0, 3.0 + 1 / FPS)
    window.parts.document.undo_stack.undo()
    assert window.parts.document.draft.trim == Trim(1.0, None)


def test_home_and_end_go_to_the_first_and_last_frame_of_the_range(window: Window) -> None:
    window.parts.playback.set_range(1.0, 3.0)
    window.press(KEY.Key_End)
    assert window.frame == 3 * FPS - 1
    window.press(KEY.Key_Home)
    assert window.frame == FPS


def test_space_and_j_k_l_play(window: Window) -> None:
    playback = window.parts.playback
    window.press(KEY.Key_Space)
    assert playback.playing
    window.press(KEY.Key_Space)
    assert not playback.playing
    window.press(KEY.Key_L, KEY.Key_L)
    assert playback.speed == 2
    window.press(KEY.Key_J)
    assert playback.speed == -1
    window.press(KEY.Key_K)
    assert not playback.playing


def test_keys_are_heard_when_nothing_in_particular_has_the_focus(window: Window) -> None:
    window.top.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    window.top.setFocus()
    window.press(KEY.Key_Right)
    assert window.frame == 1


def test_fields_keep_their_keys(window: Window) -> None:
    window.parts.playback.seek(1.0)
    window.text.setFocus()
    window.press(KEY.Key_J, KEY.Key_I, KEY.Key_Space, KEY.Key_L, KEY.Key_Home, KEY.Key_O, KEY.Key_End)
    assert window.text.text() == "oji l"
    window.press(KEY.Key_Left, KEY.Key_Left, held=SHIFT)
    assert window.text.selectedText() == " l"
    window.spin.setFocus()
    window.press(KEY.Key_4, KEY.Key_Left, KEY.Key_Right, KEY.Key_Home)
    assert window.frame == FPS
    assert not window.parts.playback.playing
    assert window.parts.document.draft.trim == Trim()


@pytest.mark.parametrize(
    ("kind", "key", "state"),
    [
        (QPlainTextEdit, KEY.Key_Space, QPlainTextEdit.toPlainText),
        (QComboBox, KEY.Key_L, QComboBox.currentText),
        (QCheckBox, KEY.Key_Space, QCheckBox.isChecked),
    ],
)
def test_other_controls_keep_theirs(
    window: Window, kind: type[QWidget], key: Qt.Key, state: Callable[[QWidget], object]
) -> None:
    control = kind()
    layout = window.top.layout()
    assert layout is not None
    layout.addWidget(control)
    if isinstance(control, QComboBox):
        control.addItems(["one", "left"])
    control.show()
    control.setFocus()
    before = state(control)
    window.press(key)
    assert state(control) != before
    assert not window.parts.playback.playing


def test_lists_sliders_and_buttons_keep_theirs(window: Window) -> None:
    playback = window.parts.playback
    window.rows.setFocus()
    window.rows.setCurrentRow(0)
    window.press(KEY.Key_L)
    assert window.rows.currentItem().text() == "Lea"
    window.press(KEY.Key_Home, KEY.Key_End)
    assert window.rows.currentRow() == 4
    window.slider.setFocus()
    window.press(KEY.Key_Right, KEY.Key_Right)
    assert window.slider.value() == 2
    clicked: list[bool] = []
    window.button.clicked.connect(lambda: clicked.append(True))
    window.button.setFocus()
    window.press(KEY.Key_Space)
    assert len(clicked) == 1
    assert not playback.playing
    assert window.frame == 0
    window.press(KEY.Key_Right)
    assert window.frame == 1, "a button has no use for arrows"
    window.slider.setFocus()
    window.press(KEY.Key_Space)
    assert playback.playing, "a slider has no use for Space"


def test_tab_reaches_the_handles_and_arrows_move_them(window: Window) -> None:
    parts, canvas = window.parts, window.parts.view.canvas
    parts.pose.find(FakeFitted(0.0, (0.9,) * 33, align_frame_s=0.5))
    reached = []
    for _ in range(4):
        window.press(KEY.Key_Tab)
        reached.append(getattr(window.top.focusWidget(), "part", None))
    assert set(reached) == {"in", "out", "range", "align"}
    canvas.handle("in").setFocus()
    window.press(KEY.Key_Right, KEY.Key_Right)
    window.press(KEY.Key_Right, held=SHIFT)
    assert parts.document.draft.trim.start_s * FPS == 18
    assert parts.playback.frame == 18, "the stage shows the frame at the handle"
    assert canvas.handle("in").accessibleDescription() == "frame 18, 1.12 s"
    parts.document.undo_stack.undo()
    assert parts.document.draft.trim == Trim(), "moves that follow each other are one step"


def test_home_and_end_bring_a_handle_as_far_as_it_goes(window: Window) -> None:
    canvas = window.parts.view.canvas
    canvas.handle("out").setFocus()
    window.press(KEY.Key_Home)
    assert window.parts.timeline.selected.frames == 5
    window.press(KEY.Key_End)
    assert window.parts.document.draft.trim == Trim()
    window.parts.document.change("Trim", trim=Trim(1.0, 2.0))
    canvas.handle("range").setFocus()
    window.press(KEY.Key_End)
    assert window.parts.document.draft.trim == Trim(5.0, None)


def test_a_handle_out_of_view_comes_into_view_with_tab(window: Window) -> None:
    canvas = window.parts.view.canvas
    canvas.zoom(20, 0)
    assert canvas.scale.start_s == 0
    canvas.setFocus()
    for _ in range(4):
        window.press(KEY.Key_Tab)
        if getattr(window.top.focusWidget(), "part", "") == "out":
            break
    assert canvas.scale.start_s > 1
    assert 0 < canvas.handle("out").x() < canvas.width()


def test_zoom_keys_are_heard_in_the_timeline_only(window: Window) -> None:
    canvas = window.parts.view.canvas
    window.press(KEY.Key_Plus)
    assert not canvas.scale.fits
    window.press(KEY.Key_0)
    assert canvas.scale.fits
    window.button.setFocus()
    window.press(KEY.Key_Plus)
    assert canvas.scale.fits


def test_a_control_that_is_deleted_with_the_focus_does_no_harm(window: Window, qtbot: QtBot) -> None:
    window.text.setFocus()
    window.text.deleteLater()
    qtbot.waitUntil(lambda: window.top.focusWidget() is not window.text)
    window.parts.view.canvas.setFocus()
    window.press(KEY.Key_Right)
    assert window.frame == 1


def test_screen_readers_are_told_playhead_in_and_out(window: Window) -> None:
    window.parts.document.change("Trim", trim=Trim(1.0, 3.0))
    window.parts.playback.seek(2.0)
    told = window.parts.view.canvas.accessibleDescription()
    for part in ("frame 32, 2.00 s", "frame 16, 1.00 s", "frame 48, 3.00 s", "29 frames, 1.81 s"):
        assert part in told
    for button in window.parts.view.findChildren(QPushButton):
        assert button.accessibleName() or button.text()


def test_every_action_names_its_key_and_is_in_the_menu_list(window: Window) -> None:
    actions = window.parts.view.menu_actions
    keys = [action.shortcut().toString() for action in actions if not action.shortcut().isEmpty()]
    assert {
        "Space",
        "J",
        "K",
        "L",
        "Left",
        "Right",
        "Shift+Left",
        "Shift+Right",
        "I",
        "O",
        "Home",
        "End",
    } <= set(keys)
    assert len(keys) == len(set(keys))
    for action in actions:
        assert action.shortcut().toString() in action.toolTip()
