"""The stage in a window of its own, and the transport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from stage_parts import Desk, open_desk

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    for opened in open_desk(qtbot, tmp_path):
        opened.choose_motion()
        yield opened


@pytest.mark.parametrize("key", [Qt.Key.Key_F, Qt.Key.Key_F11])
def test_a_key_enters_full_screen_and_escape_leaves(desk: Desk, key: Qt.Key) -> None:
    canvas, view = desk.view.canvas, desk.view
    desk.qtbot.keyClick(canvas, key)
    assert view.full_screen
    assert canvas.window() is not view.window()
    assert canvas.window().isFullScreen()
    assert desk.stage.full_screen
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    desk.qtbot.waitUntil(lambda: not view.full_screen)
    assert canvas.window() is view.window()
    assert canvas.isVisible()
    assert view.transport.isVisible()
    assert not desk.stage.full_screen


def test_the_button_enters_and_leaves(desk: Desk) -> None:
    button = desk.view.transport.full
    desk.qtbot.mouseClick(button, LEFT)
    assert desk.view.full_screen
    assert "Leave" in button.toolTip()
    desk.qtbot.mouseClick(button, LEFT)
    assert not desk.view.full_screen
    assert "(F)" in button.toolTip()


def test_the_controls_hide_and_come_back_with_the_mouse(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_F)
    window = desk.view._full
    assert window is not None
    assert window.controls_shown
    window._idle.setInterval(1)
    # Where the smaller window does not lie in front: a platform without a screen has no order of windows.
    QTest.mouseMove(desk.view.canvas, QPoint(700, 600))
    desk.qtbot.waitUntil(lambda: not window.controls_shown)
    assert window.cursor().shape() == Qt.CursorShape.BlankCursor
    window._idle.setInterval(60_000)
    QTest.mouseMove(desk.view.canvas, QPoint(720, 600))
    desk.qtbot.waitUntil(lambda: window.controls_shown)


def test_keys_play_and_step_in_full_screen_and_shared_actions_work(desk: Desk) -> None:
    pressed = []
    action = QAction("In", desk.view)
    action.setShortcut("I")
    action.triggered.connect(lambda: pressed.append("in"))
    desk.view.share_actions([action])
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_F)
    canvas = desk.view.canvas
    desk.qtbot.waitUntil(canvas.isActiveWindow)
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert desk.clock.frame == 1
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert desk.clock.frame == 17
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Home)
    assert desk.clock.frame == 0
    desk.qtbot.keyClick(canvas, Qt.Key.Key_L)
    assert desk.clock.playing
    desk.qtbot.keyClick(canvas, Qt.Key.Key_I)
    assert pressed == ["in"]


def test_closing_the_full_screen_window_leaves_it(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_F)
    desk.view.canvas.window().close()
    desk.qtbot.waitUntil(lambda: not desk.view.full_screen)
    assert desk.view.canvas.isVisible()


def test_the_transport_plays_steps_and_goes_to_the_ends_of_the_range(desk: Desk) -> None:
    transport, clock = desk.view.transport, desk.clock
    clock.set_range(0.5, 1.5)
    desk.qtbot.mouseClick(transport.start, LEFT)
    assert clock.position_s == 0.5
    assert transport.time.text() == "frame 1 of 16 · 0.00 s"
    desk.qtbot.mouseClick(transport.on, LEFT)
    desk.qtbot.mouseClick(transport.on, LEFT)
    desk.qtbot.mouseClick(transport.back, LEFT)
    assert transport.time.text() == "frame 2 of 16 · 0.06 s"
    desk.qtbot.mouseClick(transport.end, LEFT)
    assert clock.position_s == 1.5 - 1 / 16
    assert transport.time.text() == "frame 16 of 16 · 0.94 s"
    desk.qtbot.mouseClick(transport.play, LEFT)
    assert clock.playing
    assert transport.play.toolTip() == "Pause (Space)"


def test_loop_and_speed_are_shown(desk: Desk) -> None:
    transport = desk.view.transport
    desk.qtbot.mouseClick(transport.loop, LEFT)
    assert desk.clock.looping
    assert transport.loop.isChecked()
    desk.qtbot.mouseClick(transport.loop, LEFT)
    assert not desk.clock.looping
    desk.clock.shuttle(-4)
    assert transport.speed.text() == "−4×"
    desk.clock.shuttle(0)
    assert transport.speed.text() == ""


def test_sound_is_off_where_there_is_none_and_muted_by_a_click(desk: Desk) -> None:
    transport = desk.view.transport
    assert not transport.mute.isEnabled()
    assert "no sound" in transport.mute.toolTip()
    heard = desk.folder / "song.mp4"
    desk.document.change("Sound", sound_from=heard)
    assert desk.clock.sound == (heard, 0.0)
    desk.qtbot.mouseClick(transport.mute, LEFT)
    assert desk.clock.muted
    assert transport.mute.accessibleName() == "Unmute"
    desk.qtbot.keyClick(transport.volume, Qt.Key.Key_PageDown)
    assert desk.clock.volume == 0.9
    assert not desk.clock.muted


def test_every_control_has_a_name_and_a_tip(desk: Desk) -> None:
    transport, bar = desk.view.transport, desk.view.mode_bar
    buttons = (transport.start, transport.back, transport.play, transport.on, transport.end, transport.loop)
    others = (
        transport.mute,
        transport.volume,
        transport.fit,
        transport.full,
        *bar.buttons.values(),
        bar.opacity,
    )
    for control in (*buttons, *others, desk.view.canvas.handle):
        assert control.accessibleName()
        assert control.toolTip()
