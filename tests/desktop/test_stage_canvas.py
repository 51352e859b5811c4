"""Zoom, pan and wipe by mouse and keyboard; what painting costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from stage_parts import COLOURS, Desk, open_desk

from desktop.presenters.viewport import CLOSEST, Box, Viewport, columns

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    for opened in open_desk(qtbot, tmp_path):
        opened.choose_picture()
        yield opened


def wheel(desk: Desk, at: QPoint, notches: int) -> None:
    canvas = desk.view.canvas
    event = QWheelEvent(
        QPointF(at),
        QPointF(canvas.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, event)


def drag(widget: QWidget, start: QPoint, end: QPoint, button: Qt.MouseButton = LEFT) -> None:
    QTest.mousePress(widget, button, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(widget, (start + end) / 2)
    QTest.mouseMove(widget, end)
    QTest.mouseRelease(widget, button, Qt.KeyboardModifier.NoModifier, end)


def wipe(desk: Desk) -> None:
    desk.finish("one")
    desk.finish("two")
    desk.clock.pause()
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_6)


def test_the_wheel_zooms_at_the_pointer_and_a_double_click_fits(desk: Desk) -> None:
    canvas = desk.view.canvas
    assert desk.colour_at(0.02, 0.5) == "#141416"
    wheel(desk, canvas.rect().center(), 12)
    assert canvas.zoom > 8
    assert desk.colour_at(0.02 + 12 / canvas.width(), 0.5) == COLOURS["ref"]
    assert desk.view.transport.fit.text() == f"{canvas.zoom:.0%}"
    desk.qtbot.mouseDClick(canvas, LEFT, pos=canvas.rect().center())
    assert canvas.zoom == 1
    assert not desk.view.transport.fit.isEnabled()


def test_plus_minus_and_0_zoom(desk: Desk) -> None:
    canvas = desk.view.canvas
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.zoom == pytest.approx(1.44)
    desk.qtbot.keyClick(canvas, Qt.Key.Key_Minus)
    assert canvas.zoom == pytest.approx(1.2)
    desk.qtbot.keyClick(canvas, Qt.Key.Key_0)
    assert canvas.zoom == 1


@pytest.mark.parametrize("how", ["middle", "space", "left"])
def test_a_zoomed_picture_is_dragged(desk: Desk, how: str) -> None:
    canvas = desk.view.canvas
    middle = canvas.rect().center()
    wheel(desk, middle, 12)
    before = canvas._viewport
    if how == "space":
        QTest.keyPress(canvas, Qt.Key.Key_Space)
    drag(canvas, middle, middle + QPoint(60, 40), MIDDLE if how == "middle" else LEFT)
    if how == "space":
        QTest.keyRelease(canvas, Qt.Key.Key_Space)
    assert canvas._viewport.x < before.x
    assert canvas._viewport.y < before.y
    assert not desk.clock.playing


def test_space_plays_when_nothing_was_dragged(desk: Desk) -> None:
    desk.choose_motion()
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_Space)
    assert desk.clock.playing
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_Space)
    assert not desk.clock.playing


def test_the_wipes_line_is_dragged(desk: Desk) -> None:
    wipe(desk)
    handle = desk.view.canvas.handle
    assert handle.isVisible()
    assert (desk.colour_at(0.46, 0.3), desk.colour_at(0.54, 0.3)) == (COLOURS["two"], COLOURS["one"])
    middle = handle.rect().center()
    drag(handle, middle, middle + QPoint(60, 0))
    assert desk.stage.wipe > 0.7
    assert desk.colour_at(0.54, 0.3) == COLOURS["two"]
    at = handle.mapTo(desk.view.canvas, handle.rect().center())
    QTest.mousePress(handle, LEFT, Qt.KeyboardModifier.NoModifier, handle.rect().center())
    QTest.mouseMove(handle, handle.mapFrom(desk.view.canvas, QPoint(0, at.y())))
    QTest.mouseRelease(handle, LEFT)
    assert desk.stage.wipe == 0


def test_the_wipes_line_moves_with_arrow_keys_when_it_has_the_focus(desk: Desk) -> None:
    wipe(desk)
    handle = desk.view.canvas.handle
    handle.setFocus()
    shift = Qt.KeyboardModifier.ShiftModifier
    position_s = desk.clock.position_s
    desk.qtbot.keyClick(handle, Qt.Key.Key_Right)
    assert desk.stage.wipe == pytest.approx(0.51)
    desk.qtbot.keyClick(handle, Qt.Key.Key_Left, shift)
    assert desk.stage.wipe == pytest.approx(0.41)
    desk.qtbot.keyClick(handle, Qt.Key.Key_End)
    assert desk.stage.wipe == 1
    assert handle.accessibleDescription() == "100 % A"
    assert desk.clock.position_s == position_s


def test_zoom_is_shared_by_both_halves_of_a_wipe(desk: Desk) -> None:
    wipe(desk)
    canvas = desk.view.canvas
    wheel(desk, canvas.rect().center(), 12)
    assert (desk.colour_at(0.1, 0.3), desk.colour_at(0.9, 0.3)) == (COLOURS["two"], COLOURS["one"])


def test_a_picture_is_scaled_once_and_again_only_when_it_or_the_size_changes(desk: Desk) -> None:
    canvas = desk.view.canvas
    canvas.grab()
    count = canvas.scaled_pictures.count
    canvas.grab()
    canvas.grab()
    assert canvas.scaled_pictures.count == count
    desk.clock.set_duration(2.0)
    desk.clock.seek(0.5)
    canvas.grab()
    assert canvas.scaled_pictures.count == count + 1


def test_a_thousand_frames_leave_one_behind(desk: Desk) -> None:
    canvas = desk.view.canvas
    desk.view.resize(260, 260)
    desk.clock.set_duration(100.0)
    for number in range(1000):
        desk.clock.seek(number / 16)
        canvas.repaint()
    assert canvas.scaled_pictures.count >= 1000
    assert len(canvas.scaled_pictures._kept) == 1


def test_nothing_is_painted_while_hidden(desk: Desk) -> None:
    canvas = desk.view.canvas
    desk.choose_motion()
    desk.view.hide()
    count = canvas.scaled_pictures.count
    for number in range(20):
        desk.clock.seek(number / 16)
        QApplication.processEvents()
    assert canvas.scaled_pictures.count == count


panes = st.builds(Box, st.floats(0, 50), st.floats(0, 50), st.floats(20, 2000), st.floats(20, 2000))
ratios = st.floats(0.2, 5)
shares = st.floats(0, 1)


@given(panes, ratios, st.lists(st.tuples(st.floats(0.5, 3), shares, shares), max_size=6))
def test_zooming_leaves_no_gap_that_the_picture_could_fill(
    pane: Box, ratio: float, steps: list[tuple[float, float, float]]
) -> None:
    viewport = Viewport()
    for factor, x, y in steps:
        at = (pane.x + x * pane.width, pane.y + y * pane.height)
        viewport = viewport.zoomed(factor, at, pane, ratio)
        picture = viewport.place(pane, ratio)
        assert 1 <= viewport.zoom <= CLOSEST
        assert picture.width / picture.height == pytest.approx(ratio)
        for start, extent, low, room in (
            (picture.x, picture.width, pane.x, pane.width),
            (picture.y, picture.height, pane.y, pane.height),
        ):
            if extent >= room:
                assert start <= low + 1e-6 * room
                assert start + extent >= low + room - 1e-6 * room
            else:
                assert start + extent / 2 == pytest.approx(low + room / 2)


@given(panes, ratios, st.floats(1.1, 20), shares, shares)
def test_what_lies_under_the_pointer_stays_there_where_the_picture_fills_the_pane(
    pane: Box, ratio: float, factor: float, x: float, y: float
) -> None:
    first = Viewport(20.0)
    at = (pane.x + x * pane.width, pane.y + y * pane.height)
    before, after = first.place(pane, ratio), first.zoomed(factor, at, pane, ratio).place(pane, ratio)
    if before.width >= pane.width and before.height >= pane.height:
        assert (at[0] - after.x) / after.width == pytest.approx((at[0] - before.x) / before.width, abs=1e-6)
        assert (at[1] - after.y) / after.height == pytest.approx((at[1] - before.y) / before.height, abs=1e-6)


def test_columns_are_as_wide_as_their_pictures_ask() -> None:
    boxes = columns(Box(10, 0, 320, 100), [1.0, 0.5, 1.5], 10)
    assert [box.width for box in boxes] == [100, 50, 150]
    assert [box.x for box in boxes] == [10, 120, 180]
