"""Finished renders and live previews on the stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot
from stage_parts import COLOURS, Desk, open_desk

from desktop.presenters.stage_results import ResultItem


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    for opened in open_desk(qtbot, tmp_path):
        opened.choose_picture()
        opened.choose_motion()
        opened.stage.begin_render()
        yield opened


def clip(*colours: str) -> list[QImage]:
    images = []
    for colour in colours:
        image = QImage(16, 24, QImage.Format.Format_RGB32)
        image.fill(QColor(colour))
        images.append(image)
    return images


def test_a_finished_render_comes_to_the_front_and_plays_from_its_start(desk: Desk) -> None:
    desk.finish("one", start_s=0.5, frames=17)
    assert desk.stage.mode == "result"
    assert desk.clock.playing
    assert desk.clock.position_s == 0.5
    assert desk.clock.range_s == (0.5, 0.5 + 17 / 16)
    assert desk.colour_at(0.5, 0.5) == COLOURS["one"]


def test_other_modes_give_the_trimmed_range_back(desk: Desk) -> None:
    desk.finish("one", start_s=1.5, frames=17)
    assert desk.clock.duration_s == 1.5 + 17 / 16
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_2)
    assert (desk.clock.duration_s, desk.clock.range_s) == (2.0, (0.0, 2.0))


def test_a_trim_during_a_result_counts_for_the_inputs(desk: Desk) -> None:
    desk.finish("one", start_s=0.5, frames=17)
    desk.clock.set_range(0.25, 1.25)
    assert desk.clock.range_s == (0.5, 0.5 + 17 / 16)
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_2)
    assert desk.clock.range_s == (0.25, 1.25)


def test_what_was_started_after_render_is_not_taken_away(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_Space)
    assert desk.clock.playing
    path = desk.finish_quietly("one")
    assert desk.stage.mode == "driving"
    assert desk.view.arrived.isVisible()
    desk.qtbot.mouseClick(desk.view.arrived, Qt.MouseButton.LeftButton)
    desk.qtbot.waitUntil(lambda: desk.clock.position_s == 0.5)
    assert desk.stage.mode == "result"
    assert desk.stage.shown is not None
    assert desk.stage.shown.path == path
    assert not desk.view.arrived.isVisible()


def test_what_played_before_render_gives_way(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_Space)
    desk.stage.begin_render()
    desk.finish("one")
    assert desk.stage.mode == "result"


def test_a_result_that_came_by_itself_gives_way_to_the_next(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_1)
    desk.finish("one")
    assert desk.clock.playing
    two = desk.finish("two")
    assert desk.stage.shown == desk.item(two)


def test_a_result_that_somebody_asked_for_stays(desk: Desk) -> None:
    one = desk.finish("one", asked=True)
    desk.finish_quietly("two")
    assert desk.stage.shown == desk.item(one)
    assert desk.view.arrived.isVisible()


def test_full_screen_is_not_taken_away_but_a_wish_counts(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_F)
    desk.finish_quietly("one")
    assert desk.stage.mode == "driving"
    desk.finish("two", asked=True)
    assert desk.stage.mode == "result"


def test_side_by_side_stays_and_plays_the_new_result(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_5)
    desk.finish("one")
    assert desk.stage.mode == "side_by_side"
    assert desk.clock.playing
    assert len(desk.stage.panes()[2].layers) == 1


def test_results_are_chosen_from_lists_by_the_keyboard(desk: Desk) -> None:
    one, two, three = (desk.finish(name) for name in ("one", "two", "three"))
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_6)
    bar = desk.view.mode_bar
    assert [bar.first.itemText(index) for index in range(3)] == ["Three", "Two", "One"]
    assert (desk.stage.shown.path, desk.stage.compared.path) == (three, two)
    desk.qtbot.keyClick(bar.second, Qt.Key.Key_Down)
    assert desk.stage.compared.path == one
    desk.qtbot.keyClick(bar.first, Qt.Key.Key_End)
    assert (desk.stage.shown.path, desk.stage.compared.path) == (one, three)


def test_a_result_that_vanished_says_so(desk: Desk) -> None:
    one = desk.finish("one")
    desk.finish("two")
    one.unlink()
    desk.qtbot.keyClick(desk.view.mode_bar.first, Qt.Key.Key_Down)
    desk.qtbot.waitUntil(lambda: desk.stage.shown.trouble is not None)
    pane = desk.stage.panes()[0]
    assert pane.message == "one.mp4 is not there any more."
    assert str(desk.folder) in pane.action


def test_fifty_results_are_kept(desk: Desk) -> None:
    items = [ResultItem(Path(f"{number}.mp4"), str(number), 0.0) for number in range(60)]
    desk.finish("of another project")
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_2)
    desk.stage.set_results(items)
    assert [item.name for item in desk.stage.results] == [str(number) for number in range(50)]
    assert desk.stage.mode == "driving"


def test_a_result_of_an_earlier_day_has_its_own_span(desk: Desk) -> None:
    one = desk.finish("one", start_s=0.5, frames=17)
    desk.stage.set_results([ResultItem(one, "one", 0.5)])
    desk.qtbot.waitUntil(lambda: desk.clock.range_s == (0.5, 0.5 + 17 / 16))
    assert desk.stage.shown.duration_s == 17 / 16


def test_a_preview_comes_to_the_front_loops_and_gives_way_to_the_result(desk: Desk) -> None:
    desk.stage.show_preview("job", clip("#ff0000", "#0000ff"), 50, 0.0, "Live preview, step 3 of 8")
    assert desk.stage.mode == "result"
    assert desk.stage.panes()[0].badge == "Live preview, step 3 of 8"
    seen = set()

    def both() -> bool:
        seen.add(desk.colour_at(0.5, 0.5))
        return seen == {"#ff0000", "#0000ff"}

    desk.qtbot.waitUntil(both)
    desk.stage.end_preview("job")
    desk.finish("one")
    assert desk.colour_at(0.5, 0.5) == COLOURS["one"]
    assert desk.stage.preview_job == ""


def test_a_cancelled_preview_freezes(desk: Desk) -> None:
    desk.stage.show_preview("job", clip("#ff0000", "#0000ff"), 50, 0.0)
    desk.stage.end_preview("job", frozen=True)
    changes = []
    desk.stage.changed.connect(lambda: changes.append(1))
    desk.qtbot.wait(60)
    assert not changes
    assert desk.stage.panes()[0].badge == "Stopped"


def test_a_preview_follows_the_clock_beside_the_driving_clip(desk: Desk) -> None:
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_5)
    red, blue = clip("#ff0000", "#0000ff")
    desk.stage.show_preview("job", [red] * 8 + [blue] * 8, 16, 0.0)
    assert desk.stage.mode == "side_by_side"
    desk.clock.play()
    desk.clock.seek(0.25)
    assert desk.stage.panes()[2].layers[0].image == red
    desk.clock.seek(0.75)
    assert desk.stage.panes()[2].layers[0].image == blue


def test_who_turned_away_from_a_preview_is_left_alone_and_finds_it_again(desk: Desk) -> None:
    desk.finish("one")
    desk.clock.pause()
    desk.stage.show_preview("job", clip("#ff0000"), 16, 0.0)
    assert desk.stage.live
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_1)
    desk.stage.show_preview("job", clip("#00ff00"), 16, 0.0)
    assert desk.stage.mode == "reference"
    desk.qtbot.keyClick(desk.view.canvas, Qt.Key.Key_4)
    assert desk.colour_at(0.5, 0.5) == "#00ff00"
    desk.qtbot.keyClick(desk.view.mode_bar.first, Qt.Key.Key_Down)
    assert desk.colour_at(0.5, 0.5) == COLOURS["one"]


def test_a_preview_of_another_job_that_ends_changes_nothing(desk: Desk) -> None:
    desk.stage.show_preview("job", clip("#ff0000"), 16, 0.0)
    desk.stage.end_preview("another")
    assert desk.stage.preview_job == "job"
