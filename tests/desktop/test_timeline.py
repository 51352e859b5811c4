"""The timeline by mouse: handles, align frame, scrubbing, zoom; and what its tracks ask for and say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from timeline_parts import FakeFitted, Parts, make_parts, moving_clip, picture

from core.types import FPS, PoseSettings, Trim
from desktop.model.facts import Trouble
from desktop.model.fitted import Busy
from desktop.views import theme
from desktop.views.timeline.timeline_view import TimelineView

LEFT = Qt.MouseButton.LeftButton
PLAIN = Qt.KeyboardModifier.NoModifier


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving_clip(tmp_path_factory.mktemp("clips") / "dance.mp4", 6.0)


@pytest.fixture
def parts(qtbot: QtBot, clip: Path) -> Iterator[Parts]:
    made = make_parts(qtbot)
    made.open(qtbot, clip)
    yield made
    made.close()


def at(view: TimelineView, time_s: float, row: str) -> QPoint:
    """A point of the window."""
    canvas = view.canvas
    y = getattr(canvas.rows, row).center().y()
    return canvas.mapTo(view, QPoint(round(canvas.scale.x_of(time_s)), round(y)))


def grip(view: TimelineView, part: str) -> QPoint:
    """The middle of a handle, as a point of the window."""
    handle = view.canvas.handle(part)
    return handle.mapTo(view, handle.rect().center())


def press(view: TimelineView, where: QPoint) -> None:
    QTest.mousePress(view.windowHandle(), LEFT, PLAIN, where)


def move(view: TimelineView, start: QPoint, end: QPoint, steps: int = 4) -> None:
    for step in range(1, steps + 1):
        QTest.mouseMove(view.windowHandle(), start + (end - start) * step / steps)


def drag(view: TimelineView, start: QPoint, end: QPoint) -> None:
    press(view, start)
    move(view, start, end)
    QTest.mouseRelease(view.windowHandle(), LEFT, PLAIN, end)


def pulled(view: TimelineView, part: str, seconds: float) -> None:
    """Drag a handle by so many seconds."""
    start = grip(view, part)
    x = start.x() + round(seconds * view.canvas.scale.px_per_s)
    drag(view, start, QPoint(min(max(1, x), view.width() - 2), start.y() + 3))


def test_a_dragged_in_point_snaps_to_the_grid_and_is_one_step_of_undo(parts: Parts) -> None:
    pulled(parts.view, "in", 1.53)
    start_s = parts.document.draft.trim.start_s
    assert start_s == pytest.approx(1.53, abs=1 / FPS)
    assert start_s * FPS == round(start_s * FPS)
    assert parts.document.draft.trim.end_s is None
    assert parts.playback.position_s == start_s
    assert not parts.playback.scrubbing
    assert parts.document.undo_stack.undoText() == "Trim"
    parts.document.undo_stack.undo()
    assert parts.document.draft.trim == Trim()
    assert parts.document.draft.motion is not None


def test_two_drags_in_a_row_are_two_steps_of_undo(parts: Parts) -> None:
    pulled(parts.view, "in", 1.0)
    pulled(parts.view, "out", -1.0)
    trim = parts.document.draft.trim
    assert trim.end_s == pytest.approx(5.0, abs=1 / FPS)
    parts.document.undo_stack.undo()
    assert parts.document.draft.trim == Trim(trim.start_s, None)


def test_the_stage_shows_the_frame_at_a_dragged_handle(parts: Parts) -> None:
    start = grip(parts.view, "out")
    press(parts.view, start)
    move(parts.view, start, start - QPoint(200, 0))
    assert parts.playback.scrubbing
    end_s = parts.timeline.selected.end_s
    assert end_s < 6.0
    assert parts.playback.position_s == pytest.approx(end_s - 1 / FPS)
    assert parts.document.draft.trim == Trim()
    QTest.mouseRelease(parts.view.windowHandle(), LEFT, PLAIN, start - QPoint(200, 0))
    assert parts.document.draft.trim.end_s == end_s


def test_esc_during_a_drag_takes_it_back(parts: Parts) -> None:
    parts.playback.seek(3.0)
    steps = parts.document.undo_stack.count()
    start = grip(parts.view, "in")
    press(parts.view, start)
    move(parts.view, start, start + QPoint(150, 0))
    assert parts.timeline.selected.start_s > 0
    QTest.keyClick(parts.view.windowHandle(), Qt.Key.Key_Escape)
    QTest.mouseRelease(parts.view.windowHandle(), LEFT, PLAIN, start + QPoint(150, 0))
    assert parts.timeline.selected.start_s == 0
    assert parts.document.undo_stack.count() == steps
    assert parts.playback.position_s == 3.0
    assert not parts.playback.scrubbing


def test_a_click_on_a_handle_changes_nothing(parts: Parts) -> None:
    parts.playback.seek(2.0)
    steps = parts.document.undo_stack.count()
    QTest.mouseClick(parts.view.windowHandle(), LEFT, PLAIN, grip(parts.view, "in"))
    assert parts.document.undo_stack.count() == steps
    assert parts.playback.position_s == 2.0


def test_the_band_moves_the_whole_selection(parts: Parts) -> None:
    parts.document.change("Trim", trim=Trim(1.0, 3.0))
    pulled(parts.view, "range", 1.26)
    assert parts.document.draft.trim == Trim(2.25, 4.25)
    pulled(parts.view, "range", 30.0)
    assert parts.document.draft.trim == Trim(4.0, None)


def test_random_drags_stay_on_the_grid_in_the_clip_and_long_enough(parts: Parts) -> None:
    chance = random.Random(20)
    for _ in range(40):
        part = chance.choice(("in", "out", "range", "align"))
        if part == "align":
            parts.timeline.set_align_frame(chance.uniform(0, 6))
        if chance.random() < 0.3:
            parts.view.canvas.zoom(chance.choice((0.5, 1.7)), chance.uniform(0, 900))
        parts.view.canvas.show_time(parts.timeline.value_of(part))  # type: ignore[arg-type]
        pulled(parts.view, part, chance.uniform(-4, 4))
        trim, selected = parts.document.draft.trim, parts.timeline.selected
        for time_s in (trim.start_s, trim.end_s or 0.0):
            assert time_s * FPS == round(time_s * FPS)
        assert 0 <= selected.start_s < selected.end_s <= 6.0
        assert selected.frames >= 5
        align_s, (start_s, end_s) = parts.document.draft.pose.align_frame_s, parts.timeline.rendered
        assert align_s is None or start_s <= align_s < end_s
        assert not parts.timeline.dragging


def test_the_label_says_what_a_render_takes_and_why_less(parts: Parts) -> None:
    words = parts.timeline.words
    assert words.length == "33 frames, 2.06 s"
    assert "96" in words.cut
    assert "33" in words.cut
    parts.document.change("Trim", trim=Trim(0.0, 2.0))
    assert words.length == "29 frames, 1.81 s"
    assert "steps of 4" in words.cut
    parts.document.change("Trim", trim=Trim(0.0, 29 / FPS))
    assert words.cut == ""
    parts.document.change("Length", frames=9)
    assert words.length == "9 frames, 0.56 s"
    assert "length is set" in words.cut


def test_scrubbing_ends_on_the_exact_frame_and_esc_goes_back(parts: Parts) -> None:
    view, told = parts.view, []
    parts.playback.position_changed.connect(lambda time_s: told.append((time_s, parts.playback.scrubbing)))
    drag(view, at(view, 1.0, "ruler"), at(view, 4.02, "ruler"))
    assert parts.playback.position_s == 4.0
    assert len(told) > 3
    assert told[0][1]
    assert told[-1] == (4.0, False)
    press(view, at(view, 1.03, "motion"))
    assert parts.playback.position_s == 1.0
    QTest.keyClick(view.windowHandle(), Qt.Key.Key_Escape)
    QTest.mouseRelease(view.windowHandle(), LEFT, PLAIN, at(view, 1.0, "motion"))
    assert parts.playback.position_s == 4.0
    assert parts.document.draft.trim == Trim()


def wheel(view: TimelineView, where: QPoint, turned: int, held: Qt.KeyboardModifier) -> None:
    canvas = view.canvas
    local = QPointF(canvas.mapFrom(view, where))
    place, none = QPointF(canvas.mapToGlobal(local.toPoint())), Qt.MouseButton.NoButton
    phase = Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(local, place, QPoint(), QPoint(0, turned), none, held, phase, False)
    QApplication.sendEvent(canvas, event)


def test_the_wheel_zooms_at_the_pointer_with_ctrl_and_scrolls_without(parts: Parts) -> None:
    view, canvas = parts.view, parts.view.canvas
    where = at(view, 4.0, "motion")
    for _ in range(5):
        wheel(view, where, 120, Qt.KeyboardModifier.ControlModifier)
    assert not canvas.scale.fits
    assert canvas.scale.x_of(4.0) == pytest.approx(canvas.mapFrom(view, where).x(), abs=1.5)
    start_s = canvas.scale.start_s
    wheel(view, where, 120, PLAIN)
    assert canvas.scale.start_s < start_s
    for _ in range(9):
        wheel(view, where, -120, Qt.KeyboardModifier.ControlModifier)
    assert canvas.scale.fits


def test_buttons_zoom_and_the_scroll_bar_appears_with_it(parts: Parts, qtbot: QtBot) -> None:
    view = parts.view
    buttons = {
        button.accessibleName(): button for button in view.findChildren(theme.QWidget) if button.isEnabled()
    }
    assert not view._scroll.isVisible()
    qtbot.mouseClick(buttons["Zoom in"], LEFT)
    assert view._scroll.isVisible()
    view._scroll.setValue(view._scroll.maximum())
    assert view.canvas.scale.start_s == pytest.approx(view.canvas.scale.furthest_s, abs=2e-3)
    qtbot.mouseClick(buttons["Show the whole clip"], LEFT)
    assert view.canvas.scale.fits


def test_the_playhead_turns_the_page_when_it_leaves_the_view(parts: Parts) -> None:
    canvas = parts.view.canvas
    canvas.zoom(8, 0)
    assert canvas.scale.start_s == 0
    parts.playback.seek(5.0)
    assert canvas.scale.start_s < 5.0 < canvas.scale.start_s + canvas.scale.visible_s


@pytest.fixture
def beyond(parts: Parts) -> Iterator[TimelineView]:
    """The playhead is held ten pixels beyond the right edge."""
    view = parts.view
    view.canvas.zoom(6, 0)
    start = at(view, 0.5, "ruler")
    outside = QPoint(view.canvas.geometry().right() + 11, start.y())
    press(view, start)
    move(view, start, outside)
    yield view
    QTest.mouseRelease(view.windowHandle(), LEFT, PLAIN, outside)
    assert not view.canvas.pull.active, "it goes on without a hand"


def test_a_drag_beyond_the_edge_scrolls_along(beyond: TimelineView, parts: Parts, qtbot: QtBot) -> None:
    before_s = parts.playback.position_s
    qtbot.waitUntil(lambda: beyond.canvas.scale.start_s > 1 / FPS)
    assert parts.playback.position_s > before_s, "the playhead stays under the hand"
    inside = at(beyond, beyond.canvas.scale.start_s + 0.5, "ruler")
    QTest.mouseMove(beyond.windowHandle(), inside)
    assert not beyond.canvas.pull.active


def test_beyond_the_edge_it_scrolls_as_fast_where_turns_are_rare(
    beyond: TimelineView, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas, clock_s = beyond.canvas, [1e6]
    monkeypatch.setattr("desktop.views.timeline.pull.monotonic", lambda: clock_s[0])

    def turn_after(seconds: float) -> float:
        before_s, clock_s[0] = canvas.scale.start_s, clock_s[0] + seconds
        canvas.pull._turn.timeout.emit()
        return canvas.scale.start_s - before_s

    turn_after(0.0)
    often_s = sum(turn_after(0.03) for _ in range(5))
    assert often_s > 0.03
    assert turn_after(0.15) == pytest.approx(often_s)
    assert turn_after(60.0) == pytest.approx(often_s * 0.2 / 0.15), "a stall is not made up for"


def test_the_align_frame_is_dragged_and_given_back_by_double_clicks(parts: Parts) -> None:
    view = parts.view
    parts.pose.find(FakeFitted(0.0, (0.9,) * 33, align_frame_s=0.5))
    marker = view.canvas.handle("align")
    assert marker.isVisible()
    assert "automatic" in marker.accessibleDescription()
    pulled(view, "align", 0.75)
    assert parts.document.draft.pose.align_frame_s == 1.25
    assert marker.accessibleDescription() == "frame 20, 1.25 s"
    pulled(view, "align", 40.0)
    assert parts.document.draft.pose.align_frame_s == 2.0, "the last frame that is rendered"
    QTest.mouseDClick(view.windowHandle(), LEFT, PLAIN, grip(view, "align"))
    assert parts.document.draft.pose.align_frame_s is None
    QTest.mouseDClick(view.windowHandle(), LEFT, PLAIN, at(view, 1.02, "pose"))
    assert parts.document.draft.pose.align_frame_s == 1.0


def test_an_align_frame_that_is_cut_off_goes_with_the_same_step(parts: Parts) -> None:
    parts.timeline.set_align_frame(0.5)
    pulled(parts.view, "in", 1.5)
    assert parts.document.draft.pose == PoseSettings()
    parts.document.undo_stack.undo()
    assert parts.document.draft.pose.align_frame_s == 0.5


def test_thumbnails_are_asked_for_what_is_in_view_a_few_at_a_time(parts: Parts, qtbot: QtBot) -> None:
    thumbnails, canvas = parts.thumbnails, parts.view.canvas
    qtbot.waitUntil(lambda: len(thumbnails.asked) == 1)
    assert len(thumbnails.asked[0][1]) <= 6
    thumbnails.answer_all()
    assert parts.timeline.motion_strip.image(thumbnails.frames()[0]) is not None
    seen = len(thumbnails.asked)
    canvas.zoom(20, 0)
    canvas.scroll_to(4.0)
    qtbot.waitUntil(lambda: len(thumbnails.asked) > seen)
    thumbnails.answer_all()
    later = [time_s for _, times_s in thumbnails.asked[seen:] for time_s in times_s]
    tile_s = 60 / canvas.scale.px_per_s
    assert min(later) >= 4.0 - tile_s
    assert max(later) <= 4.0 + canvas.scale.visible_s + tile_s


def test_a_file_without_pictures_says_so_and_is_not_asked_again(parts: Parts, qtbot: QtBot) -> None:
    thumbnails = parts.thumbnails
    qtbot.waitUntil(lambda: len(thumbnails.asked) == 1)
    thumbnails.failed.emit(str(thumbnails.asked[0][0]), "It is cut off.", "Copy it again.")
    message = parts.timeline.words.motion()
    assert message is not None
    assert "cut off" in message.text
    parts.view.canvas.zoom(3)
    qtbot.wait(100)
    assert len(thumbnails.asked) == 1


def test_skeletons_are_drawn_for_what_is_in_view(parts: Parts, qtbot: QtBot) -> None:
    fitted = FakeFitted(1.0, (0.9,) * 20 + (0.1,) * 13)
    parts.pose.find(fitted)
    qtbot.waitUntil(lambda: len(fitted.drawn) > 3)
    assert all(0 <= frame < 33 for frame in fitted.drawn)
    words = parts.timeline.words
    assert "well" in words.pose_at(1.5)
    assert "hardly" in words.pose_at(1.0 + 25 / FPS)
    assert words.pose_at(0.5) == ""


def test_the_pose_track_says_what_goes_on(parts: Parts) -> None:
    words, pose = parts.timeline.words, parts.pose
    said = words.pose()
    assert said is not None
    assert "picture" in said.text
    pose.work(Busy("looking", 0.4))
    said = words.pose()
    assert said is not None
    assert (said.share, "40 %" in said.text) == (0.4, True)
    pose.work(None)
    pose.find(None, Trouble(Path("a.mp4"), "Nobody was found.", "Choose another part."))
    said = words.pose()
    assert said is not None
    assert (said.tone, said.action) == ("danger", "Choose another part.")


def test_the_result_fills_and_then_shows_the_file(parts: Parts, qtbot: QtBot, clip: Path) -> None:
    timeline, result = parts.timeline, parts.timeline.result
    timeline.show_result_frames([picture(0.0), picture(1.0)], 1.0)
    timeline.show_result_progress(8, 33, 1.0)
    assert (result.start_s, result.done_s, result.end_s) == (1.0, 1.5, 1.0 + 33 / FPS)
    first, last = result.image(0, 1), result.image(32, 1)
    assert first is not None
    assert last is not None
    assert first != last
    seen = len(parts.thumbnails.asked)
    other = clip.with_name("result.mp4")
    timeline.show_result(other, 1.0, 33, "Ada, dance")
    assert result.finished_one
    parts.thumbnails.answer_all()
    qtbot.waitUntil(lambda: any(path == other for path, _ in parts.thumbnails.asked[seen:]))
    parts.thumbnails.answer_all()
    assert all(
        0 <= each * FPS < 33 for path, times in parts.thumbnails.asked if path == other for each in times
    )
    parts.document.change("Motion", motion=None)
    assert result.frames == 0


def test_the_theme_is_followed_while_open(parts: Parts, qapp: QApplication) -> None:
    corner = QPoint(2, 2)
    theme.apply(qapp, dark=False)
    light = parts.view.canvas.grab().toImage().pixelColor(corner)
    theme.apply(qapp, dark=True)
    dark = parts.view.canvas.grab().toImage().pixelColor(corner)
    theme.apply(qapp, dark=False)
    assert (light.name(), dark.name()) == (theme.LIGHT.panel, theme.DARK.panel)


def test_without_a_motion_there_is_a_sentence_and_nothing_to_press(qtbot: QtBot) -> None:
    parts = make_parts(qtbot)
    try:
        message = parts.timeline.words.motion()
        assert message is not None
        assert "Drop" in message.text
        assert not any(action.isEnabled() for action in parts.view.menu_actions)
        assert not any(parts.view.canvas.handle(part).isVisible() for part in ("in", "out", "range", "align"))
    finally:
        parts.close()


def test_an_unreadable_motion_says_why(qtbot: QtBot, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no clip")
    parts = make_parts(qtbot)
    try:
        parts.document.change("Motion", motion=broken)
        qtbot.waitUntil(lambda: parts.timeline.trouble is not None, timeout=10_000)
        message = parts.timeline.words.motion()
        assert message is not None
        assert message.tone == "danger"
        assert message.text
    finally:
        parts.close()


def test_a_moving_playhead_paints_no_track_anew(parts: Parts, qtbot: QtBot) -> None:
    canvas = parts.view.canvas
    parts.thumbnails.answer_all()
    qtbot.waitUntil(lambda: canvas._kept is not None and not canvas._wish.isActive())
    parts.thumbnails.answer_all()
    canvas.repaint()
    kept = canvas._kept
    for frame in range(40):
        parts.playback.seek(frame / FPS)
        canvas.repaint()
    assert canvas._kept is kept
